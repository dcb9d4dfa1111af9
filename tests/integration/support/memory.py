"""The memory of another process, as the kernel shows it."""

import platform
import re
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import BinaryIO, Final

import pytest

from chaos.clock import wait_for
from tests.integration.support.ptrace import Call, Tracer

PAGE: Final = 4096
UNMAPPED_WITHIN_S: Final = 10.0
_EVERY_S: Final = 0.0005
_MUNMAP: Final = {"x86_64": 11, "aarch64": 215}
_LINE: Final = re.compile(r"([0-9a-f]+)-([0-9a-f]+) (\S{4}) \S+ \S+ (\d+)")


@dataclass(frozen=True, kw_only=True, slots=True)
class Found:
    """One place in memory.

    Attributes:
        address: of its first byte.
        flags: of the mapping that it lies in, as ``VmFlags`` of smaps names them: "lo" locked, "dd" not dumped.
    """

    address: int
    flags: frozenset[str]


def find(pid: int, needle: bytes) -> list[Found]:
    """Every place where *needle* stands in the anonymous, writable memory of process *pid*.

    Skips the test when the system does not let us look.
    """
    try:
        with open(f"/proc/{pid}/mem", "rb", buffering=0) as memory:  # noqa: PTH123  (pathlib would buffer)
            return [
                Found(address=start + hit.start(), flags=flags)
                for start, end, flags in _mappings(pid)
                for hit in re.finditer(re.escape(needle), _read(memory, start, end - start))
            ]
    except PermissionError:
        pytest.skip(f"the memory of process {pid} cannot be read from here (ptrace is not allowed)")


def read(pid: int, address: int, size: int) -> bytes:
    """What process *pid* has at *address* now; empty when nothing is mapped there."""
    with open(f"/proc/{pid}/mem", "rb", buffering=0) as memory:  # noqa: PTH123  (pathlib would buffer)
        return _read(memory, address, size)


@contextmanager
def at_unmap(pid: int, addresses: Sequence[int]) -> Iterator[dict[int, bytes]]:
    """What stands in each page of *addresses* at the moment when process *pid* gives it back; filled after the block.

    The process is halted at the beginning of each ``munmap``: whatever it wanted to do to that memory it has done, and
    the memory is still there. Skips the test when the system does not let us look.

    Raises:
        LabError: a page was not given back within UNMAPPED_WITHIN_S.
    """
    seen: dict[int, bytes] = {}
    watching = threading.Event()
    with ThreadPoolExecutor(1) as pool:
        watch = pool.submit(_watch, pid, addresses, seen, watching)
        wait_for(lambda: watching.is_set() or watch.done(), what="munmap is watched", within_s=UNMAPPED_WITHIN_S)
        if watch.done() and isinstance(watch.exception(), PermissionError):
            pytest.skip(f"process {pid} cannot be halted from here (ptrace is not allowed)")
        yield seen
        watch.result(2 * UNMAPPED_WITHIN_S)


def _watch(pid: int, addresses: Sequence[int], seen: dict[int, bytes], watching: threading.Event) -> None:
    """Fill *seen* with the pages of *addresses*, each as it is when it is unmapped."""
    munmap = _MUNMAP[platform.machine()]

    def look(call: Call) -> None:
        start, length = call.arguments[:2]
        if call.number == munmap:
            seen.update((at, _read(memory, at, PAGE)) for at in addresses if start <= at < start + length)

    def all_seen() -> bool:
        tracer.run()
        return len(seen) == len(addresses)

    with open(f"/proc/{pid}/mem", "rb", buffering=0) as memory, closing(Tracer(pid, look)) as tracer:  # noqa: PTH123
        watching.set()
        wait_for(all_seen, what="the memory is given back", within_s=UNMAPPED_WITHIN_S, every_s=_EVERY_S)


def _read(memory: BinaryIO, start: int, size: int) -> bytes:
    try:
        memory.seek(start)
        return memory.read(size)
    except (OSError, OverflowError, ValueError):
        return b""


def _mappings(pid: int) -> Iterator[tuple[int, int, frozenset[str]]]:
    """Start, end and flags of each mapping that belongs to no file."""
    start = end = 0
    wanted = False
    with open(f"/proc/{pid}/smaps", encoding="utf-8") as lines:  # noqa: PTH123  (read line by line)
        for line in lines:
            if match := _LINE.match(line):
                start, end = int(match[1], 16), int(match[2], 16)
                wanted = match[3].startswith("rw") and match[4] == "0"
            elif wanted and line.startswith("VmFlags:"):
                yield start, end, frozenset(line.split()[1:])
