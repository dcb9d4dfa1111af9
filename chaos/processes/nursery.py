"""The fork server's children: started, reaped, killed and started again."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Callable
from typing import Final

from chaos.processes import family

END_WITHIN_S: Final = 1.0
KILLED_WITHIN_S: Final = 2.0


class Child:
    """One process and how to start it again: who holds its number always means the one that runs now."""

    def __init__(self, number: int, start: Callable[[], int], end_signal: int) -> None:
        self.number = number
        self.start = start
        self.end_signal = end_signal
        self.pid = 0
        self.status: int | None = None

    def send(self, signal_number: int) -> None:
        """Send a signal, unless the process has ended (its id may be another's by now)."""
        if self.status is None:
            family.send([self.pid], signal_number)


class Nursery:
    """All processes of all clients: whoever is reaped is found here."""

    def __init__(self) -> None:
        self._living: dict[int, Child] = {}

    def begin(self, child: Child) -> None:
        """Start *child*, for the first time or again."""
        child.pid = child.start()
        child.status = None
        self._living[child.pid] = child

    def reap(self) -> None:
        """Collect whoever has ended, adopted grandchildren too."""
        with contextlib.suppress(ChildProcessError):
            while (found := os.waitpid(-1, os.WNOHANG))[0]:
                if child := self._living.pop(found[0], None):
                    child.status = os.waitstatus_to_exitcode(found[1])

    def wait(self, done: Callable[[], bool], within_s: float) -> bool:
        """Reap until *done*, at most *within_s*; returns whether it is."""
        deadline = time.monotonic() + within_s
        self.reap()
        while not done():
            if time.monotonic() > deadline:
                return False
            time.sleep(0.001)
            self.reap()
        return True

    def kill(self, child: Child) -> None:
        """Kill *child* and its whole family; returns when the kernel has forgotten them all."""
        self.reap()
        if child.status is not None:
            return
        try:
            members = family.hold(child.pid)
        except TimeoutError:
            members = [child.pid, *family.descendants(child.pid)]
        family.send(members, signal.SIGKILL)
        if not self.wait(lambda: all(family.state(pid) == "X" for pid in members), KILLED_WITHIN_S):
            msg = f"not gone {KILLED_WITHIN_S:g} s after SIGKILL: {members}"
            raise TimeoutError(msg)

    def end(self, children: list[Child]) -> None:
        """End *children* in their own way, and after END_WITHIN_S with SIGKILL, families included."""
        self.reap()
        for child in [child for child in children if child.status is None]:
            family.release(child.pid)
            child.send(child.end_signal)
        self.wait(lambda: all(child.status is not None for child in children), END_WITHIN_S)
        for child in children:
            with contextlib.suppress(TimeoutError):
                self.kill(child)
