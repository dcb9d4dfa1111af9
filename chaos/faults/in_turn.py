"""Faults one after another: in turn, or in rising intensity."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import cycle

from chaos.faults.arguments import check, duration
from chaos.faults.fault import Effect, Fault
from chaos.faults.turns import Stage, Turns
from chaos.lab import Lab


def in_turn(*faults: Fault, each_s: float) -> InTurn:
    """Each of *faults* for *each_s*, and again from the first, until it is healed."""
    return InTurn(faults=faults, each_s=each_s, again=True)


def ramp(faults: Sequence[Fault], *, every_s: float) -> InTurn:
    """*faults* in rising intensity, one more step every *every_s*; the last stays until it is healed."""
    return InTurn(faults=tuple(faults), each_s=every_s, again=False)


@dataclass(frozen=True, kw_only=True, slots=True)
class InTurn:
    """Faults one after another; made by ``in_turn`` and ``ramp``.

    Attributes:
        faults: in their order; one takes the place of the other.
        each_s: seconds of each.
        again: begin with the first again, or stay with the last.
    """

    faults: tuple[Fault, ...]
    each_s: float
    again: bool

    def __post_init__(self) -> None:
        check(
            self,
            ["no faults are given; expected at least one"] if not self.faults else [],
            duration(self, "each_s"),
        )

    def effect(self, lab: Lab, on: str) -> Effect:
        """The faults in effect, beginning with the first."""
        stages = [Stage(fault=fault, length_s=self.each_s) for fault in self.faults]
        if self.again:
            return Turns(lab, on, name=repr(self), faults=self.faults, stages=cycle(stages))
        stages[-1] = Stage(fault=self.faults[-1], length_s=None)
        return Turns(lab, on, name=repr(self), faults=self.faults, stages=iter(stages))
