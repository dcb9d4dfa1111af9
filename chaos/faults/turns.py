"""Faults that vary in time: one stage after another, each with undos of its own."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from chaos.faults.background import Background
from chaos.faults.fault import Effect, Fault, effect_of
from chaos.guard.undo import Stop
from chaos.lab import Lab
from chaos.results.model import Bite


@dataclass(frozen=True, kw_only=True, slots=True)
class Stage:
    """A fault, or nothing, for a while; *length_s* None until the heal."""

    fault: Fault | None
    length_s: float | None


class Turns:
    """Stages in effect one after another, changed by a thread.

    Each stage enters its own undos before its changes and heals before the next begins. Besides them
    a ``Stop`` is owed all the time: when somebody else has healed, no further stage begins. The
    evidence of each fault is measured the first time that it is on; its stage lasts until that is done.

    Args:
        name: of the whole.
        faults: those that will come up, in the order in which they do.
        stages: in their order, perhaps without end; the first has a fault.
    """

    def __init__(self, lab: Lab, on: str, *, name: str, faults: Sequence[Fault], stages: Iterator[Stage]) -> None:
        self._lab, self._target, self._name = lab, on, name
        self._faults = faults
        self._stages = stages
        self._on = frozenset[str]().union(*(effect_of(fault, lab, on).on for fault in faults))
        self._at_most_s = 0.0
        self._stop: int | None = None
        self._current: tuple[Fault, Effect] | None = None
        self._bites: dict[Fault, tuple[Bite, ...]] = {}
        self._late: list[Bite] = []
        self._turn = threading.RLock()
        self._background = Background(self._advance)

    @property
    def on(self) -> frozenset[str]:
        """The edges and processes that it breaks at one time or another."""
        return self._on

    def begin(self, at_most_s: float) -> None:
        """Begin the first stage, and go on in the background."""
        self._stop = self._lab.keeper.enter(Stop(fault=self._name), at_most_s)
        try:
            length_s = self._enter(next(self._stages), at_most_s)
        except BaseException:
            self.heal()
            raise
        self._background.start(length_s, at_most_s)

    def bite(self) -> tuple[Bite, ...]:
        """The evidence of the first fault; that of the others comes later."""
        with self._turn:
            self._measure()
            return self._bites.get(self._faults[0], ())

    def heal(self) -> None:
        """Let the stage that is on be the last, and take it back."""
        try:
            self._background.stop()
        finally:
            try:
                self._leave()
            finally:
                if self._stop is not None:
                    self._lab.keeper.undo(self._stop)

    def bite_later(self) -> tuple[Bite, ...]:
        """The evidence of the later faults; of one that never came, that the whole was too short for it."""
        later = (bite for fault in self._faults[1:] for bite in self._bites.get(fault, (self._never(fault),)))
        return (*later, *self._late)

    def owed(self) -> bool:
        """Whether nobody else has ended it."""
        return self._stop is not None and self._lab.keeper.is_owed(self._stop)

    def _advance(self) -> float | None:
        """Change to the next stage, unless somebody has healed; returns its length."""
        with self._turn:
            healed_by_others = not self.owed() or (self._current is not None and not self._current[1].owed())
            if not healed_by_others:
                self._measure()
            self._leave()
            stage, left_s = next(self._stages, None), self._background.left_s
            if stage is None or healed_by_others or left_s <= 0:
                return None
            length_s = self._enter(stage, left_s)
            self._measure()
            return length_s

    def _enter(self, stage: Stage, at_most_s: float) -> float | None:
        if stage.fault:
            effect = effect_of(stage.fault, self._lab, self._target)
            effect.begin(at_most_s)
            self._current = stage.fault, effect
        return stage.length_s

    def _leave(self) -> None:
        if self._current:
            fault, effect = self._current
            effect.heal()
            self._current = None
            if self._bites.get(fault):
                self._late += effect.bite_later()

    def _measure(self) -> None:
        if self._current and self._current[0] not in self._bites:
            fault, effect = self._current
            self._bites[fault] = effect.bite()

    def _never(self, fault: Fault) -> Bite:
        on = ", ".join(sorted(self._on))
        return Bite(on=on, expected=f"{fault} comes into effect", measured="it was healed before", held=False)
