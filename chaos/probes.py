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
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Final

from chaos.clock import NS_PER_MS, now_ns
from chaos.config import Address, Protocol

PROBE_WITHIN_S: Final = 0.5

_ESTABLISHED: Final = "01"

_SSL_REQUEST: Final = struct.pack(">ii", 8, 80877103)
_OBJECT_KEY: Final = b"chaos-lab-probe"
_LOCATE_BODY: Final = struct.pack(">IhxxI", 1, 0, len(_OBJECT_KEY)) + _OBJECT_KEY
_LOCATE_REQUEST: Final = b"GIOP" + bytes([1, 2, 0, 3]) + struct.pack(">I", len(_LOCATE_BODY)) + _LOCATE_BODY

QUESTIONS: Final[dict[Protocol, tuple[bytes, bytes]]] = {
    "postgres": (_SSL_REQUEST, b""),
    "redis": (b"PING\r\n", b""),
    "iiop": (_LOCATE_REQUEST, b"GIOP"),
    "http": (b"GET /health/live HTTP/1.1\r\nHost: probe\r\nConnection: close\r\n\r\n", b"HTTP/1."),
    "tcp": (b"", b""),
}
"""What is sent for each protocol, and how the answer must begin."""


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
    """Ask *address* one question in *protocol* and wait at most *within_s* for the answer."""
    start = now_ns()
    answer = _exchange(address, protocol, within_s)
    return Probe(answer=answer, took_ms=(now_ns() - start) / NS_PER_MS)


def connections(addresses: Iterable[Address]) -> dict[Address, int]:
    """How many established TCP connections lead to each address, as the kernel counts them.

    It counts the dialling ends: those whose remote address is the one asked for.
    """
    counts = Counter(
        fields[2]
        for fields in map(str.split, Path("/proc/net/tcp").read_text(encoding="ascii").splitlines()[1:])
        if fields[3] == _ESTABLISHED
    )
    return {address: counts[_as_kernel_writes(address)] for address in addresses}


def _as_kernel_writes(address: Address) -> str:
    return f"{int.from_bytes(socket.inet_aton(address.host), sys.byteorder):08X}:{address.port:04X}"


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
    except OSError:
        return Answer.RESET
    if not reply:
        return Answer.CLOSED
    return Answer.ANSWERED if reply.startswith(beginning) else Answer.GARBLED
