"""A fault that comes and goes."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import cycle

from chaos.clock import NS_PER_MS, NS_PER_S
from chaos.faults.arguments import LONGEST_MS, SHORTEST_MS, check, whole
from chaos.faults.fault import Effect, Fault
from chaos.faults.turns import Stage, Turns
from chaos.lab import Lab


def flapping(fault: Fault, *, on_ms: int, off_ms: int) -> Flapping:
    """*fault* for *on_ms*, nothing for *off_ms*, and so on until it is healed."""
    return Flapping(fault=fault, on_ms=on_ms, off_ms=off_ms)


@dataclass(frozen=True, kw_only=True, slots=True)
class Flapping:
    """A fault that comes and goes; made by ``flapping``. It begins with its on-phase."""

    fault: Fault
    on_ms: int
    off_ms: int

    def __post_init__(self) -> None:
        check(self, whole(self, "on_ms", SHORTEST_MS, LONGEST_MS), whole(self, "off_ms", SHORTEST_MS, LONGEST_MS))

    def effect(self, lab: Lab, on: str) -> Effect:
        """The fault in effect."""
        stages = (
            Stage(fault=self.fault, length_s=self.on_ms * NS_PER_MS / NS_PER_S),
            Stage(fault=None, length_s=self.off_ms * NS_PER_MS / NS_PER_S),
        )
        return Turns(lab, on, name=repr(self), faults=(self.fault,), stages=cycle(stages))
