"""A process that dies at once."""

from __future__ import annotations

from dataclasses import dataclass

from chaos.faults.bites import at_doors
from chaos.faults.fault import Change
from chaos.guard.undo import Start
from chaos.lab import Lab
from chaos.probes import Answer
from chaos.results.model import Bite


@dataclass(frozen=True, kw_only=True, slots=True)
class Kill:
    """SIGKILL to processes with all their children; they stay dead until healed, and start as they were.

    It is injected on process names, such as ``postgres`` or ``widget-*``. Postgres comes back by its
    crash recovery, Redis empty.
    """

    def changes(self, lab: Lab, on: str) -> tuple[Change, ...]:
        """The processes are gone."""
        return tuple(_Killed(lab=lab, process=name) for name in lab.select_processes(on))


@dataclass(frozen=True, kw_only=True, slots=True)
class _Killed:
    lab: Lab
    process: str

    @property
    def undo(self) -> Start:
        return Start(process=self.process)

    def apply(self) -> None:
        self.lab.processes.kill(self.process)

    def bite(self) -> tuple[Bite, ...]:
        """The kernel has its exit status, and its own ports refuse."""
        look = self.lab.processes.look(self.process)
        doors = at_doors(self.lab.doors(self.process))
        refused = all(answer.answer is Answer.REFUSED for answer in doors.values())
        return (
            Bite(
                on=self.process,
                expected="ended, and refused past every proxy",
                measured=f"exit status {look.status}; " + "; ".join(f"{a}: {p}" for a, p in doors.items()),
                held=look.ended and refused,
            ),
        )
