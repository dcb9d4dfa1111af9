"""A process and all its descendants: who they are, and how to hold, release and kill them as one.

Whoever forks cannot be caught by a list: the family is stopped first, parents before children, and
listed again until everybody in it stands still.
"""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Final

HOLD_WITHIN_S: Final = 0.5

_STILL: Final = frozenset("TtZX")
"""Stopped, traced, zombie and dead, as ``/proc/PID/stat`` writes them."""


def hold(pid: int) -> list[int]:
    """Stop *pid* and all its descendants; returns them once the kernel says that all stand still.

    Raises:
        TimeoutError: somebody still runs after HOLD_WITHIN_S.
    """
    deadline = time.monotonic() + HOLD_WITHIN_S
    while True:
        family = [pid, *descendants(pid)]
        running = [member for member in family if state(member) not in _STILL]
        if not running:
            return family
        if time.monotonic() > deadline:
            msg = f"still running after SIGSTOP: {running}"
            raise TimeoutError(msg)
        send(running, signal.SIGSTOP)
        time.sleep(0.0005)


def release(pid: int) -> None:
    """Let *pid* and all its descendants go on."""
    send([*descendants(pid), pid], signal.SIGCONT)


def send(pids: Iterable[int], number: int) -> None:
    """Send signal *number* to each of *pids* that is still there."""
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)


def state(pid: int) -> str:
    """The kernel's letter for the state of *pid*: R running, S sleeping, T stopped, Z or X dead."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace")
    except OSError:
        return "X"
    return stat.rpartition(")")[2].split()[0]


def descendants(pid: int) -> Iterable[int]:
    """Process ids of the children of *pid*, and theirs, from ``/proc``."""
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        with contextlib.suppress(OSError):
            for child in map(int, task.read_text(encoding="ascii").split()):
                yield child
                yield from descendants(child)
