"""Wire probes: one small protocol exchange each, to see with the lab's own eyes what an address does.

A probe opens a connection of its own, asks the smallest question that the protocol allows without
a log-in, and says what came back. Sources: PostgreSQL protocol 3 (SSLRequest), RESP (PING),
GIOP 1.2 (LocateRequest), HTTP/1.1.
"""

from __future__ import annotations

import socket
import struct
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Final

from chaos.clock import NS_PER_MS, NS_PER_S, now_ns
from chaos.config import Address, Protocol
from chaos.errors import LabError

PROBE_WITHIN_S: Final = 0.5

LONGEST_REPLY: Final = 9_000
"""Bytes that ``long_question`` can make any server reply without a log-in."""

_DATA_SEGMENTS_IN: Final = 152  # its offset in Linux's struct tcp_info

Connection = tuple[bytes, int, int]
"""An established connection: packed IPv4 address and port of its far end, and its own port."""

_ESTABLISHED: Final = "01"
_NETLINK_SOCK_DIAG: Final = 4
_NLMSG_ERROR: Final = 2
_NLMSG_DONE: Final = 3
# A netlink header (SOCK_DIAG_BY_FAMILY, a dump) and an inet_diag_req_v2 for established TCP over IPv4.
_DIAG_QUERY: Final = struct.pack("=BBBBI48x", socket.AF_INET, socket.IPPROTO_TCP, 0, 0, 1 << 1)
_DIAG_REQUEST: Final = struct.pack("=IHHII", 16 + len(_DIAG_QUERY), 20, 0x301, 1, 0) + _DIAG_QUERY

_SSL_REQUEST: Final = struct.pack(">ii", 8, 80877103)
_OBJECT_KEY: Final = b"chaos-lab-probe"
_LOCATE_BODY: Final = struct.pack(">IhxxI", 1, 0, len(_OBJECT_KEY)) + _OBJECT_KEY
_LOCATE_REQUEST: Final = b"GIOP" + bytes([1, 2, 0, 3]) + struct.pack(">I", len(_LOCATE_BODY)) + _LOCATE_BODY

QUESTIONS: Final[dict[Protocol, tuple[bytes, bytes]]] = {
    "postgres": (_SSL_REQUEST, b""),
    "redis": (b"PING\r\n", b""),
    "iiop": (_LOCATE_REQUEST, b"GIOP"),
    "http": (b"GET /health/live HTTP/1.1\r\nHost: probe\r\n\r\n", b"HTTP/1."),
    "tcp": (b"", b""),
}
"""What is sent for each protocol, and how the answer must begin."""


FAREWELLS: Final[Mapping[Protocol, bytes]] = {
    "postgres": struct.pack(">ii", 8, 0),  # protocol 0.0 does not exist
    "redis": b"QUIT\r\n",
    "iiop": b"NONE" + bytes([1, 2, 0, 0, 0, 0, 0, 0]),
    "http": b"GET /health/live HTTP/1.1\r\nHost: probe\r\nConnection: close\r\n\r\n",
}
"""What makes a server of each protocol close the connection."""


class Answer(StrEnum):
    """What an address did with a probe."""

    ANSWERED = "answered"
    REFUSED = "refused"
    RESET = "reset"
    CLOSED = "closed without an answer"
    SILENT = "silent"
    GARBLED = "answered something else"


@dataclass(frozen=True, kw_only=True, slots=True)
class Probe:
    """The result of one probe: what happened, after how many milliseconds."""

    answer: Answer
    took_ms: float

    def __str__(self) -> str:
        return f"{self.answer} after {self.took_ms:.1f} ms"


def probe(address: Address, protocol: Protocol, within_s: float = PROBE_WITHIN_S) -> Probe:
    """Ask *address* one question in *protocol* and wait at most *within_s* for the answer.

    Raises:
        LabError: this machine could not ask, for want of files or a route.
    """
    start = now_ns()
    answer = _exchange(address, protocol, within_s)
    return Probe(answer=answer, took_ms=(now_ns() - start) / NS_PER_MS)


@dataclass(frozen=True, kw_only=True, slots=True)
class Heard:
    """What came back on one connection: how much, in how many TCP segments, until when, and whether it was closed."""

    received: int
    segments: int
    took_ms: float
    closed: bool

    def __str__(self) -> str:
        end = ", then closed" if self.closed else ""
        return f"{self.received} bytes in {self.segments} segments within {self.took_ms:.1f} ms{end}"


def long_question(protocol: Protocol, reply_bytes: int) -> bytes:
    """What makes a server reply with at least so many bytes, up to LONGEST_REPLY, without a log-in.

    Postgres names the protocol options that it does not know (NegotiateProtocolVersion); the others
    are asked many times at once. Nobody can be made to speak in plain "tcp".
    """
    question, _ = QUESTIONS[protocol]
    if protocol == "postgres":
        option = b"_pq_." + b"x" * reply_bytes
        body = struct.pack(">i", 196608) + b"user\0probe\0" + option + b"\0\0\0"
        return struct.pack(">i", len(body) + 4) + body
    shortest = {"redis": 7, "iiop": 20, "http": 60}.get(protocol, reply_bytes)
    return question * -(-reply_bytes // shortest)


def converse(address: Address, question: bytes, enough: int | None, within_s: float) -> Heard:
    """Send *question* and read until *enough* bytes have come, or to the end when it is None."""
    start = now_ns()
    received, segments, closed = 0, 0, False
    try:
        with socket.create_connection((address.host, address.port), timeout=within_s) as connection:
            connection.sendall(question)
            while enough is None or received < enough:
                connection.settimeout(max(0.001, within_s - (now_ns() - start) / NS_PER_S))
                if not (data := connection.recv(65536)):
                    closed = True
                    break
                received += len(data)
                segments = _data_segments(connection)
    except TimeoutError:
        pass
    except ConnectionError:
        closed = True
    except OSError as error:
        raise _unable(address, error) from error
    return Heard(received=received, segments=segments, took_ms=(now_ns() - start) / NS_PER_MS, closed=closed)


def _unable(address: Address, error: OSError) -> LabError:
    return LabError(f"{address} cannot be probed from here: {error}")


def _data_segments(connection: socket.socket) -> int:
    info = connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 256)
    (number,) = struct.unpack_from("=I", info, _DATA_SEGMENTS_IN)
    return int(number)


def connections(addresses: Iterable[Address]) -> dict[Address, int]:
    """How many established TCP connections lead to each address, as the kernel counts them.

    It counts the dialling ends: those whose remote address is the one asked for. The kernel is asked
    over sock_diag(7), a twentieth of the work of listing ``/proc/net/tcp``, which stands in where
    that is missing.
    """
    counts = Counter(connection[:2] for connection in _established())
    return {address: counts[socket.inet_aton(address.host), address.port] for address in addresses}


def dialling_ports(addresses: Iterable[Address]) -> dict[Address, frozenset[int]]:
    """The own ports of the established TCP connections that lead to each address."""
    ports: dict[tuple[bytes, int], set[int]] = {}
    for host, port, own in _established():
        ports.setdefault((host, port), set()).add(own)
    return {a: frozenset(ports.get((socket.inet_aton(a.host), a.port), ())) for a in addresses}


def _established() -> Iterator[Connection]:
    try:
        return _asked_kernel()
    except OSError:
        return _read_table()


def _asked_kernel() -> Iterator[Connection]:
    """All established IPv4 connections, by sock_diag."""
    with socket.socket(socket.AF_NETLINK, socket.SOCK_DGRAM, _NETLINK_SOCK_DIAG) as kernel:
        kernel.settimeout(PROBE_WITHIN_S)
        kernel.send(_DIAG_REQUEST)
        found: list[Connection] = []
        while True:
            reply, at = kernel.recv(1 << 16), 0
            while at < len(reply):
                length, kind = struct.unpack_from("=IH", reply, at)
                if kind == _NLMSG_DONE:
                    return iter(found)
                if kind == _NLMSG_ERROR:
                    raise OSError(-struct.unpack_from("=i", reply, at + 16)[0], "sock_diag")
                own, port = struct.unpack_from(">HH", reply, at + 20)
                found.append((reply[at + 40 : at + 44], port, own))
                at += (length + 3) & ~3


def _read_table() -> Iterator[Connection]:
    """The same from ``/proc/net/tcp``."""
    for line in Path("/proc/net/tcp").read_text(encoding="ascii").splitlines()[1:]:
        local, remote, state = line.split()[1:4]
        if state == _ESTABLISHED:
            host, port = remote.split(":")
            yield int(host, 16).to_bytes(4, sys.byteorder), int(port, 16), int(local.split(":")[1], 16)


def _exchange(address: Address, protocol: Protocol, within_s: float) -> Answer:
    question, beginning = QUESTIONS[protocol]
    try:
        with socket.create_connection((address.host, address.port), timeout=within_s) as connection:
            if not question:
                return Answer.ANSWERED
            connection.sendall(question)
            reply = connection.recv(64)
    except TimeoutError:
        return Answer.SILENT
    except ConnectionRefusedError:
        return Answer.REFUSED
    except ConnectionError:
        return Answer.RESET
    except OSError as error:
        raise _unable(address, error) from error
    if not reply:
        return Answer.CLOSED
    return Answer.ANSWERED if reply.startswith(beginning) else Answer.GARBLED
