"""What process faults do to the processes of an embedded stack."""

from __future__ import annotations

import signal
import threading
from collections import defaultdict
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final

from chaos.errors import UnknownNameError
from chaos.processes.handle import ForkedProcess, Handle
from chaos.processes.supervisor import Look, Process

# SIGTERM makes Postgres wait until its last client has gone.
_GOOD_ORDER: Final = {"postgres": signal.SIGINT}


class Control:
    """Kills, pauses and restarts processes by name; safe to use from several threads.

    Args:
        processes: those that may be hit.
        wait_ready: returns when the process of that name does its work.
        own: the lab's own, which only the guard touches.
    """

    def __init__(
        self,
        processes: Mapping[str, Process],
        wait_ready: Callable[[str], None],
        own: Mapping[str, Process] = MappingProxyType({}),
    ) -> None:
        self._processes = processes
        self._own = own
        self._wait_ready = wait_ready
        self._locks: defaultdict[str, threading.RLock] = defaultdict(threading.RLock)

    def names(self) -> tuple[str, ...]:
        """Those that may be hit."""
        return tuple(self._processes)

    def handles(self) -> dict[str, Handle]:
        """How others can act on them and on the lab's own."""
        everything = {**self._processes, **self._own}
        return {
            name: ForkedProcess(supervisor=str(process.supervisor.path), number=process.number)
            for name, process in everything.items()
        }

    def look(self, name: str) -> Look:
        """How it is now; raises UnknownNameError."""
        return self._process(name).look()

    def kill(self, name: str) -> None:
        """Kill it with its family; returns when the kernel has forgotten them."""
        with self._locks[name]:
            process = self._process(name)
            process.supervisor.kill(process.number)

    def pause(self, name: str) -> None:
        """Stop it with its family; returns when the kernel says that all stand still."""
        with self._locks[name]:
            process = self._process(name)
            process.supervisor.pause(process.number)

    def resume(self, name: str) -> None:
        """Let it go on."""
        with self._locks[name]:
            process = self._process(name)
            process.supervisor.resume(process.number)

    def start(self, name: str) -> None:
        """Start it unless it runs; returns when it does its work."""
        with self._locks[name]:
            process = self._process(name)
            process.supervisor.again(process.number)
            if not process.look().paused:
                self._wait_ready(name)

    def restart(self, name: str, number: signal.Signals | None) -> None:
        """End it with signal *number* (default: in good order) and start it again at once.

        One that does not run stays dead, one that was paused is paused again. It need not be ready when this returns.
        """
        with self._locks[name]:
            process = self._process(name)
            if (before := process.look()).ended:
                return
            if number == signal.SIGKILL:
                process.supervisor.kill(process.number)
            else:
                process.supervisor.resume(process.number)
                process.stop(number or _GOOD_ORDER.get(name, signal.SIGTERM))
            process.supervisor.again(process.number)
            if before.paused:
                process.supervisor.pause(process.number)

    def _process(self, name: str) -> Process:
        if name not in self._processes:
            raise UnknownNameError("process", name, self._processes)
        return self._processes[name]
