"""Faults at the same time, and a fault on other targets than its neighbours."""

from __future__ import annotations

from dataclasses import dataclass

from chaos.faults.arguments import check
from chaos.faults.fault import Change, Effect, Fault, changes_of, effect_of, heal_all
from chaos.lab import Lab
from chaos.results.model import Bite


def together(*faults: Fault) -> Together:
    """All *faults* at the same time, begun in this order and healed in the opposite one.

    Each must show beside the others: what is refused cannot be seen to be slow.
    """
    return Together(faults=faults)


def at(on: str, fault: Fault) -> At:
    """*fault* on targets of its own, whatever the faults around it are injected on."""
    return At(target=on, fault=fault)


@dataclass(frozen=True, kw_only=True, slots=True)
class Together:
    """Several faults as one; made by ``together``."""

    faults: tuple[Fault, ...]

    def __post_init__(self) -> None:
        check(self, ["no faults are given; expected at least one"] if not self.faults else [])

    def changes(self, lab: Lab, on: str) -> tuple[Change, ...]:
        """What all of them change; raises UsageError when one of them varies in time."""
        return tuple(change for fault in self.faults for change in changes_of(fault, lab, on))

    def effect(self, lab: Lab, on: str) -> Effect:
        """All of them in effect."""
        return _All(tuple(effect_of(fault, lab, on) for fault in self.faults))


@dataclass(frozen=True, kw_only=True, slots=True)
class At:
    """A fault with targets of its own; made by ``at``."""

    target: str
    fault: Fault

    def changes(self, lab: Lab, on: str) -> tuple[Change, ...]:
        """What it changes there; raises UsageError when it varies in time."""
        del on
        return changes_of(self.fault, lab, self.target)

    def effect(self, lab: Lab, on: str) -> Effect:
        """The fault in effect there."""
        del on
        return effect_of(self.fault, lab, self.target)


class _All:
    """Several effects as one."""

    def __init__(self, effects: tuple[Effect, ...]) -> None:
        self._effects = effects

    @property
    def on(self) -> frozenset[str]:
        return frozenset[str]().union(*(effect.on for effect in self._effects))

    def begin(self, at_most_s: float) -> None:
        try:
            for effect in self._effects:
                effect.begin(at_most_s)
        except BaseException:
            self.heal()
            raise

    def bite(self) -> tuple[Bite, ...]:
        return tuple(bite for effect in self._effects for bite in effect.bite())

    def heal(self) -> None:
        heal_all(self._effects)

    def bite_later(self) -> tuple[Bite, ...]:
        return tuple(bite for effect in self._effects for bite in effect.bite_later())

    def owed(self) -> bool:
        return all(effect.owed() for effect in self._effects)
