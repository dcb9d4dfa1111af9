"""A process that ends and comes back at once."""

from __future__ import annotations

from dataclasses import dataclass, field
from signal import SIGINT, SIGKILL, SIGQUIT, SIGTERM, Signals

from chaos.faults.arguments import check, one_of
from chaos.faults.fault import Change
from chaos.guard.undo import Start
from chaos.lab import Lab
from chaos.processes.supervisor import Look
from chaos.results.model import Bite


@dataclass(frozen=True, kw_only=True, slots=True)
class Restart:
    """Processes are ended with *signal* and started again at once; healing waits until they work.

    It is injected on process names. A process that does not end within 3 s is killed.

    Attributes:
        signal: SIGKILL for a crash; default what ends the process in good order: SIGTERM, for Postgres
            SIGINT, which does not wait for its clients.
    """

    signal: Signals | None = None

    def __post_init__(self) -> None:
        check(self, one_of(self, "signal", (None, SIGTERM, SIGKILL, SIGINT, SIGQUIT)))

    def changes(self, lab: Lab, on: str) -> tuple[Change, ...]:
        """The processes are others than before."""
        return tuple(_Restarted(lab=lab, process=name, signal=self.signal) for name in lab.select_processes(on))


@dataclass(frozen=True, kw_only=True, slots=True)
class _Restarted:
    """One process; what it was before is kept for the bite."""

    lab: Lab
    process: str
    signal: Signals | None
    before: list[Look] = field(default_factory=list)

    @property
    def undo(self) -> Start:
        return Start(process=self.process, held=False)

    def apply(self) -> None:
        self.before[:] = [self.lab.processes.look(self.process)]
        self.lab.processes.restart(self.process, self.signal)

    def bite(self) -> tuple[Bite, ...]:
        """Another process runs in its place."""
        (before,), now = self.before, self.lab.processes.look(self.process)
        return (
            Bite(
                on=self.process,
                expected="another process in its place",
                measured=f"process {before.pid} before ({before}), {now.pid} now ({now})",
                held=not before.ended and not now.ended and now.pid != before.pid,
            ),
        )
