"""Deadlines for many calls at once: one timer for all instead of one for each."""

from __future__ import annotations

import asyncio
from types import TracebackType
from typing import Final, Self

SLOT_S: Final = 0.01


class Deadlines:
    """Cancels tasks that take too long, at most one slot (10 ms) late. Only for one event loop.

    A timer for each call (``asyncio.timeout``) costs a tenth of all that a call costs. Here tasks
    wait in sets, one for each slot of time, and one timer empties the slot that is due.
    """

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._slots: dict[int, set[Deadline]] = {}

    def within(self, seconds: float) -> Deadline:
        """A context manager that raises TimeoutError when its block takes longer than *seconds*."""
        return Deadline(self, seconds)

    def add(self, deadline: Deadline, seconds: float) -> set[Deadline]:
        """Put *deadline* into the slot that comes due after *seconds*, and return that."""
        number = int((self._loop.time() + seconds) / SLOT_S) + 1
        slot = self._slots.get(number)
        if slot is None:
            slot = self._slots[number] = set()
            self._loop.call_at(number * SLOT_S, self._expire, number)
        slot.add(deadline)
        return slot

    def _expire(self, number: int) -> None:
        for deadline in self._slots.pop(number):
            deadline.expire()


class Deadline:
    """One block's deadline; like ``asyncio.timeout``, it tells its own cancelling from others'."""

    __slots__ = ("_deadlines", "_expired", "_seconds", "_slot", "_task")

    def __init__(self, deadlines: Deadlines, seconds: float) -> None:
        self._deadlines = deadlines
        self._seconds = seconds
        self._expired = False

    def __enter__(self) -> Self:
        task = asyncio.current_task()
        if task is None:
            msg = "a deadline needs a task"
            raise RuntimeError(msg)
        self._task = task
        self._slot = self._deadlines.add(self, self._seconds)
        return self

    def expire(self) -> None:
        """Cancel the block."""
        self._expired = True
        self._task.cancel()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._slot.discard(self)
        if self._expired and self._task.uncancel() <= 0 and kind is asyncio.CancelledError:
            raise TimeoutError from error
