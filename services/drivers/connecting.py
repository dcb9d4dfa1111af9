"""New connections: a few at a time after an outage, and all of them before the crowd comes."""

import random
import threading
from collections.abc import Callable
from typing import Generic, Protocol, TypeVar

from services.resilience import BulkheadFull, Clock, Deadline, DependencyFailed, NotSent, Rejected, TokenBucket


class Connection(Protocol):
    """What is kept count of."""

    @property
    def closed(self) -> int:
        """Return 0 while it is open."""

    def close(self) -> None:
        """Close it."""


C = TypeVar("C", bound=Connection)


class Connector(Generic[C]):
    """Open connections; once one could be opened, others are, until *size* are there. Safe for threads."""

    def __init__(
        self, dial: Callable[[Deadline], C], *, size: int, pace: TokenBucket | None, clock: Clock, rng: random.Random
    ) -> None:
        """Open with *dial*, one for each token of *pace* (None: as they come)."""
        self.opened = self.failed = 0
        self._dial = dial
        self._size = size
        self._clock = clock
        self._rng = rng
        self._pace = pace
        self._changed = threading.Condition()
        self._alive: list[C] = []
        self._spare: list[C] = []
        self._opening = 0
        self._filling = False

    def get(self, deadline: Deadline) -> C:
        """Return a connection for which somebody has room."""
        with self._changed:
            while not self._spare and self._filling and not self._missing():
                if not self._changed.wait(min(deadline.remaining(), threading.TIMEOUT_MAX)):
                    message = "no connection in time"
                    raise NotSent(message)
            if self._spare:
                return self._spare.pop()
            self._opening += 1
        made = self._open(deadline)
        self._fill()
        return made

    def close(self) -> None:
        """Open no more ahead, and close those that nobody has asked for yet."""
        with self._changed:
            self._size = 0
            while self._spare:
                self._spare.pop().close()

    def _missing(self) -> bool:
        self._alive = [one for one in self._alive if not one.closed]
        return len(self._alive) + self._opening < self._size

    def _open(self, deadline: Deadline, *, spare: bool = False) -> C:
        made, dialled = None, False
        try:
            self._await_turn(deadline)
            dialled = True
            made = self._dial(deadline)
            return made
        finally:
            with self._changed:
                self._opening -= 1
                self.failed += dialled and made is None
                if made is not None:
                    self.opened += 1
                    self._alive.append(made)
                    if spare and self._size:
                        self._spare.append(made)
                    elif spare:
                        made.close()
                self._changed.notify_all()

    def _fill(self) -> None:
        """Have what is missing opened by a thread of its own, unless one is at it."""
        with self._changed:
            if self._filling or not self._missing():
                return
            self._filling = True
        threading.Thread(target=self._fill_up, name="connector", daemon=True).start()

    def _fill_up(self) -> None:
        try:
            while self._begin_another():
                self._open(Deadline.never(self._clock), spare=True)
        except (DependencyFailed, Rejected):
            self._stop()  # the next caller who comes through begins anew

    def _begin_another(self) -> bool:
        with self._changed:
            if self._missing():
                self._opening += 1
                return True
            self._stop()
            return False

    def _stop(self) -> None:
        with self._changed:
            self._filling = False
            self._changed.notify_all()

    def _await_turn(self, deadline: Deadline) -> None:
        """Wait for leave to open one more connection, a little longer than necessary."""
        while True:
            with self._changed:
                if self._pace is None or self._pace.take():
                    return
                wait = self._pace.wait_s() * self._rng.uniform(1.0, 2.0)
            if wait >= deadline.remaining():
                message = "too many new connections at once"
                raise BulkheadFull(message, retry_after=wait)
            threading.Event().wait(wait)
