"""Ports for a stack: the configured ones, or a block that no other lab can take meanwhile."""

from __future__ import annotations

import fcntl
import socket
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import IO, Final

import psutil

from chaos.config import LOOPBACK
from chaos.errors import LabError, PortTakenError

# Below the kernel's ephemeral range (32768 on Linux), so that no outgoing connection lands in it.
FIRST: Final = 22_000
LAST: Final = 32_000
BLOCK: Final = 50


class PortBlock:
    """A block of free ports, held by a lock on a file: it is free again when its holder is gone.

    Attributes:
        ports: the numbers of the block.
    """

    def __init__(self, ports: range, lock: IO[bytes]) -> None:
        self.ports = ports
        self._lock = lock

    def assign(self, names: Iterable[str]) -> dict[str, int]:
        """Give each of *names* a port of the block."""
        return dict(zip(names, self.ports, strict=False))

    def release(self) -> None:
        """Let another lab have the block."""
        self._lock.close()


def claim(locks: Path, count: int) -> PortBlock:
    """Claim *count* free ports.

    Args:
        locks: folder for the lock files, the same for all labs that must not collide.
        count: how many ports are needed.

    Raises:
        LabError: every block is taken, or *count* is more than a block has.
    """
    if count > BLOCK:
        msg = f"a stack of {count} ports does not fit into a block of {BLOCK}"
        raise LabError(msg)
    locks.mkdir(parents=True, exist_ok=True)
    for first in range(FIRST, LAST, BLOCK):
        lock = (locks / f"ports-{first}").open("wb")
        with suppress(BlockingIOError):
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            ports = range(first, first + count)
            if all(map(is_free, ports)):
                return PortBlock(ports, lock)
        lock.close()
    msg = f"no {count} free ports in a row between {FIRST} and {LAST}; end other labs (chaos-lab doctor lists them)"
    raise LabError(msg)


def is_free(port: int) -> bool:
    """Whether a server could listen on *port* of the loopback address."""
    with socket.socket() as attempt:
        attempt.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            attempt.bind((LOOPBACK, port))
        except OSError:
            return False
    return True


def require_free(ports: Mapping[str, int]) -> None:
    """Raise PortTakenError with every one of *ports* (by what needs it) that is in use, and by whom."""
    taken = {what: port for what, port in ports.items() if not is_free(port)}
    if taken:
        holders = _holders()
        lines = [f"  - {port} ({what}) is held by {holders.get(port, 'another user')}" for what, port in taken.items()]
        way_out = "end it, or change the port in pyproject.toml [tool.chaos-lab] or toxiproxy.json"
        raise PortTakenError("\n".join([f"{len(taken)} port(s) taken: {way_out}", *lines]))


def _holders() -> dict[int, str]:
    holders: dict[int, str] = {}
    for process in psutil.process_iter(["name", "pid"]):
        with suppress(psutil.Error):
            for connection in process.net_connections("tcp"):
                if connection.status == psutil.CONN_LISTEN:
                    holders[connection.laddr.port] = f"{process.info['name']} (pid {process.info['pid']})"
    return holders
