"""What a fault is, how it is injected and healed, and what counts as evidence that it took hold."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterable
from contextlib import ExitStack, suppress
from typing import Final, Protocol, TypeAlias, runtime_checkable

from chaos.errors import LabError, UsageError
from chaos.guard.keeper import Keeper
from chaos.guard.undo import Undo
from chaos.lab import Lab
from chaos.results.model import Bite

AT_MOST_S: Final = 60.0
"""How long a fault may stay when nobody says otherwise."""

_NUMBERS: Final = itertools.count(1)


class Change(Protocol):
    """One thing that a fault changes, on one edge or process."""

    @property
    def undo(self) -> Undo:
        """What takes it back; written down before ``apply``."""

    def apply(self) -> None:
        """Make the change, once, and return when it is read back; raises LabError."""

    def bite(self) -> tuple[Bite, ...]:
        """Measure on the wire whether it took hold."""


@runtime_checkable
class Decaying(Protocol):
    """A change that wears off, because the connections that it took hold of die."""

    def rearm(self) -> None:
        """Take hold anew; raises LabError, and never brings back what has been taken back."""


@runtime_checkable
class Relaxing(Protocol):
    """A change that takes a moment to be taken back safely, and can be told beforehand."""

    def relax(self) -> None:
        """Do nothing from now on; raises LabError."""


@runtime_checkable
class Lasting(Protocol):
    """A change whose evidence is complete only once it has been taken back."""

    def bite_healed(self) -> tuple[Bite, ...]:
        """Measure on the wire what came of it."""


@runtime_checkable
class Simple(Protocol):
    """A fault that is all there from its beginning to its end."""

    def changes(self, lab: Lab, on: str) -> tuple[Change, ...]:
        """The changes on everything that the glob *on* selects; raises UnknownNameError for nothing."""


@runtime_checkable
class Composed(Protocol):
    """A fault made of faults."""

    def effect(self, lab: Lab, on: str) -> Effect:
        """What it does to everything that the glob *on* selects; raises UnknownNameError for nothing."""


Fault: TypeAlias = Simple | Composed
"""A frozen value: what to break."""


class Effect(Protocol):
    """A fault that can be begun, seen and healed, once."""

    @property
    def on(self) -> frozenset[str]:
        """The edges and processes that it breaks."""

    def begin(self, at_most_s: float) -> None:
        """Take effect, each change after its undo is written down; all or nothing; raises LabError."""

    def bite(self) -> tuple[Bite, ...]:
        """The evidence that can be had at once."""

    def heal(self) -> None:
        """Take everything back; harmless when that has already been done; raises LabError."""

    def bite_later(self) -> tuple[Bite, ...]:
        """The evidence that can be had once it is healed."""

    def owed(self) -> bool:
        """Whether it has not been taken back by somebody else, such as the guard."""


class Injection:
    """The changes of a simple fault in effect."""

    def __init__(self, keeper: Keeper, changes: tuple[Change, ...]) -> None:
        self._keeper = keeper
        self._changes = changes
        self._owed: list[int] = []

    @property
    def on(self) -> frozenset[str]:
        """The edges and processes that it breaks."""
        return frozenset(change.undo.on for change in self._changes)

    @property
    def changes(self) -> tuple[Change, ...]:
        """What it changes."""
        return self._changes

    def begin(self, at_most_s: float) -> None:
        """Make every change, each after its undo is written down; all or nothing.

        A change that comes so late that the guard has taken it back before it was made is undone again.
        """
        try:
            for change in self._changes:
                self._owed.append(self._keeper.enter(change.undo, at_most_s))
                change.apply()
                self._require_owed(change)
        except BaseException:
            self.heal()
            raise

    def bite(self) -> tuple[Bite, ...]:
        """The evidence, change by change."""
        return tuple(bite for change in self._changes for bite in change.bite())

    def heal(self) -> None:
        """Take every change back, the last one first; one that fails does not keep the others."""
        for change in self._changes if self._owed else ():
            if isinstance(change, Relaxing):
                with suppress(LabError):  # its undo will tell
                    change.relax()
        with ExitStack() as stack:
            for number in self._owed.copy():
                stack.callback(self._undo, number)

    def bite_later(self) -> tuple[Bite, ...]:
        """The evidence of the changes that last."""
        lasting = (change for change in self._changes if isinstance(change, Lasting))
        return tuple(bite for change in lasting for bite in change.bite_healed())

    def owed(self) -> bool:
        """Whether all of it is still to be taken back."""
        return all(self._keeper.is_owed(number) for number in self._owed)

    def _require_owed(self, change: Change) -> None:
        """Raise HaltedError or LabError when the change has been taken back before it was made."""
        if not self.owed():
            self._keeper.check()
            msg = f"{change.undo.on} was healed before its change was made"
            raise LabError(msg)

    def _undo(self, number: int) -> None:
        self._keeper.undo(number)
        self._owed.remove(number)


def inject(fault: Fault, lab: Lab, on: str, *, at_most_s: float = AT_MOST_S) -> Effect:
    """Inject *fault* on what *on* selects; returns when every change is read back.

    Args:
        on: glob over edges, or over processes for a process fault.
        at_most_s: seconds after which the guard heals it even if nobody asks.

    Raises:
        UnknownNameError: *on* selects nothing.
        LabError: a change could not be made; those before it have been taken back.
    """
    effect = effect_of(fault, lab, on)
    effect.begin(at_most_s)
    return effect


def effect_of(fault: Fault, lab: Lab, on: str) -> Effect:
    """What *fault* does to everything that the glob *on* selects; raises UnknownNameError for nothing."""
    if isinstance(fault, Composed):
        return fault.effect(lab, on)
    return Injection(lab.keeper, fault.changes(lab, on))


def changes_of(fault: Fault, lab: Lab, on: str) -> tuple[Change, ...]:
    """The changes of *fault*, which must not vary in time; raises UsageError."""
    if not isinstance(fault, Simple):
        msg = f"{fault} varies in time; expected a fault that is all there from its beginning to its end"
        raise UsageError(msg)
    return fault.changes(lab, on)


def heal_all(effects: Iterable[Effect]) -> None:
    """Heal *effects*, the last one first; one that fails does not keep the others."""
    with ExitStack() as stack:
        for effect in effects:
            stack.callback(effect.heal)


def fresh_name(kind: str) -> str:
    """A name that no other toxic of this machine has."""
    return f"{kind}-{os.getpid()}-{next(_NUMBERS)}"
