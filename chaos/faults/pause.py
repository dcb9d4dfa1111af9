"""A process that stands still."""

from __future__ import annotations

from dataclasses import dataclass

from chaos.faults.bites import at_doors
from chaos.faults.fault import Change
from chaos.guard.undo import Resume
from chaos.lab import Lab
from chaos.probes import Answer
from chaos.results.model import Bite


@dataclass(frozen=True, kw_only=True, slots=True)
class Pause:
    """SIGSTOP to processes with all their children, SIGCONT when healed.

    It is injected on process names. The kernel goes on accepting connections and data for them, so
    callers see silence; what they sent meanwhile is done after the heal.
    """

    def changes(self, lab: Lab, on: str) -> tuple[Change, ...]:
        """The processes stand still."""
        return tuple(_Paused(lab=lab, process=name) for name in lab.select_processes(on))


@dataclass(frozen=True, kw_only=True, slots=True)
class _Paused:
    lab: Lab
    process: str

    @property
    def undo(self) -> Resume:
        return Resume(process=self.process)

    def apply(self) -> None:
        self.lab.processes.pause(self.process)

    def bite(self) -> tuple[Bite, ...]:
        """The kernel says that it is stopped, and its own ports are silent."""
        look = self.lab.processes.look(self.process)
        doors = at_doors(self.lab.doors(self.process))
        silent = all(answer.answer is Answer.SILENT for answer in doors.values())
        return (
            Bite(
                on=self.process,
                expected="stopped, and silent past every proxy",
                measured=f"state {look.state}; " + "; ".join(f"{a}: {p}" for a, p in doors.items()),
                held=look.paused and silent,
            ),
        )
