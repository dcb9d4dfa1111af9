"""The time that is left for a whole request."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Self

from services.resilience.errors import DeadlineExceeded

Clock = Callable[[], float]
"""Seconds on a clock that never goes back, such as `time.monotonic`."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Deadline:
    """A moment on *clock* after which nobody waits for the answer any more."""

    at: float
    clock: Clock

    @classmethod
    def after(cls, seconds: float, clock: Clock) -> Self:
        """Return the deadline that lies *seconds* from now."""
        return cls(at=clock() + seconds, clock=clock)

    @classmethod
    def never(cls, clock: Clock) -> Self:
        """Return the deadline that does not come."""
        return cls(at=math.inf, clock=clock)

    def remaining(self) -> float:
        """Return the seconds left, never below zero."""
        return max(0.0, self.at - self.clock())

    def expired(self) -> bool:
        """Tell whether the moment has passed."""
        return self.clock() >= self.at

    def within(self, seconds: float) -> Self:
        """Return the earlier of this deadline and *seconds* from now."""
        return type(self)(at=min(self.at, self.clock() + seconds), clock=self.clock)

    def check(self) -> None:
        """Raise `DeadlineExceeded` when there is no time left to start anything."""
        if self.expired():
            message = "the deadline of the request has passed"
            raise DeadlineExceeded(message)
