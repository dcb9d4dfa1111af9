"""Keeps the undo of every change until it has been performed."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Sequence
from typing import Final, Protocol

from chaos.clock import now_ns, seconds
from chaos.errors import HealError, LabError
from chaos.guard.heal import GONE, heal_one
from chaos.guard.reach import Reach
from chaos.guard.undo import DONE, Undo, by_hand

LOOK_EVERY_S: Final = 0.25


class Record(Protocol):
    """Where undos are written down so that others can perform them: see ``chaos.guard.record``."""

    def enter(self, number: int, undo: Undo, at_most_s: float) -> None:
        """Return when *undo* is written down and somebody else knows it; raises LabError."""

    def strike(self, number: int, how: str) -> None:
        """Say that it has been performed."""

    def taken(self) -> dict[int, str]:
        """Numbers of those that somebody else has performed, and why."""

    def check(self) -> None:
        """Raise what forbids to go on."""

    def hand_over(self) -> None:
        """Let somebody else perform what is owed, when it is due."""

    def close(self) -> None:
        """Nothing more will be entered."""


class Keeper:
    """The undos that are still owed; safe to use from several threads.

    Args:
        reach: what an undo can reach from this process.
        record: where they are written down; nowhere when left out.
    """

    def __init__(self, reach: Reach, record: Record | None = None) -> None:
        self._reach = reach
        self._record = record
        self._owed: dict[int, Undo] = {}
        self._numbers = itertools.count(1)
        self._swept = ""
        self._lock = threading.RLock()

    def enter(self, undo: Undo, at_most_s: float) -> int:
        """Write *undo* down before its change is made; returns its number.

        Args:
            at_most_s: seconds after which it is performed even if nobody asks.

        Raises:
            HaltedError: a HALT file forbids faults.
            UsageError: it would touch what is not configured.
            LabError: it could not be written down, or nobody else would know it.
        """
        with self._lock:
            number = next(self._numbers)
            if self._record:
                self._record.enter(number, undo, at_most_s)
            self._owed[number] = undo
        return number

    def is_owed(self, number: int) -> bool:
        """Whether that change is still to be taken back; once it is not, it must not be made again."""
        return number in self._owed and number not in self._taken()

    def undo(self, number: int) -> None:
        """Take that change back, prove it on the wire, and strike it out; nothing happens a second time.

        What somebody else has taken back is taken back again: the change may have been made after that.

        Raises:
            HealError: it could not be; carries the command that does it by hand.
        """
        with self._lock:
            if (undo := self._owed.get(number)) is None:
                return
            others = [other for n, other in self._owed.items() if n != number and self.is_owed(n)]
            try:
                how = heal_one(undo, others, self._reach)
            except HealError as error:
                msg = f"{error}\n{by_hand([undo])}"
                raise HealError(msg) from error
            del self._owed[number]
            if how != DONE and self._lost(others):
                self._swept = how
            if self._record:
                self._record.strike(number, how)

    def check(self) -> None:
        """Raise HaltedError or LabError when faults were taken back behind the runner's back, or must be."""
        if self._swept:
            msg = f"a fault was {self._swept}, and others that were there are gone"
            raise LabError(msg)
        if self._record:
            self._record.check()

    def sleep_until(self, when_ns: int) -> None:
        """Return at *when_ns*; raises what ``check`` does as soon as that is known."""
        self.check()
        while (left_s := seconds(when_ns - now_ns())) > 0:
            time.sleep(min(left_s, LOOK_EVERY_S))
            self.check()

    def hand_over(self) -> None:
        """Leave what is owed to the guard, which goes on without this process and heals it when it is due."""
        with self._lock:
            if self._record:
                self._record.hand_over()
            self._owed.clear()

    def close(self, *, gone: bool) -> None:
        """Enter nothing more; what is owed stays on record, unless it is *gone* with its platform."""
        with self._lock:
            if self._record:
                for number in self._owed if gone else ():
                    self._record.strike(number, GONE)
                self._record.close()
            self._owed.clear()

    def left(self) -> list[Undo]:
        """What is owed, the last one first: the order in which it is to be taken back."""
        return [undo for _, undo in sorted(self._owed.items(), reverse=True)]

    def _lost(self, others: Sequence[Undo]) -> bool:
        """Whether one of the *others*, on an edge, is not there any more."""
        try:
            return not all(other.in_effect(self._reach, ()) for other in others if other.on in self._reach.places)
        except LabError:
            return True

    def _taken(self) -> dict[int, str]:
        return self._record.taken() if self._record else {}
