"""How fast an open loop sends, over time: a rate, a ramp, bursts."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

from chaos.errors import ConfigError


class Shape(Protocol):
    """A schedule: when each request is due."""

    def due_s(self, number: int) -> float:
        """Seconds from the start until request *number* is due, counted from 0; never decreasing."""


Rate = float | Shape


@dataclass(frozen=True, slots=True)
class Steady:
    """The same *rate* all the time, in requests per second."""

    rate: float

    def due_s(self, number: int) -> float:
        """Seconds until request *number*."""
        return number / self.rate


@dataclass(frozen=True, kw_only=True, slots=True)
class Ramp:
    """A rate that changes evenly and then stays.

    Attributes:
        start: requests per second at the beginning; may be 0.
        to: requests per second at the end and from then on.
        over_s: seconds from one to the other.
    """

    start: float
    to: float
    over_s: float

    def __post_init__(self) -> None:
        problems = [f"{name} {value!r} is not a rate above 0" for name, value in [("to", self.to)] if not _above(value)]
        if not _above(self.over_s):
            problems.append(f"over_s {self.over_s!r} is not a time above 0 s")
        if self.start != 0 and not _above(self.start):
            problems.append(f"start {self.start!r} is not a rate of 0 or more")
        if problems:
            raise ConfigError("Ramp", problems)

    def due_s(self, number: int) -> float:
        """Seconds until request *number*: the rate is linear, so the count is its integral."""
        during = (self.start + self.to) / 2 * self.over_s
        if number >= during:
            return self.over_s + (number - during) / self.to
        gain = (self.to - self.start) / self.over_s
        root = math.sqrt(self.start * self.start + 2 * gain * number)
        return 2 * number / (self.start + root) if number else 0.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Burst:
    """*size* requests at once every *every_s* seconds, and nothing between."""

    size: int
    every_s: float

    def __post_init__(self) -> None:
        problems = []
        if not isinstance(self.size, int) or self.size < 1:
            problems.append(f"size {self.size!r} is not a whole number of 1 or more")
        if not _above(self.every_s):
            problems.append(f"every_s {self.every_s!r} is not a time above 0 s")
        if problems:
            raise ConfigError("Burst", problems)

    def due_s(self, number: int) -> float:
        """Seconds until request *number*."""
        return number // self.size * self.every_s


def shape_of(rate: Rate) -> Shape:
    """The schedule of *rate*: a number is a steady rate, and a shape is itself."""
    return Steady(float(rate)) if isinstance(rate, int | float) else rate


def rate_problems(rate: object) -> Iterator[str]:
    """What is wrong with *rate*, if anything."""
    if isinstance(rate, bool) or (not hasattr(rate, "due_s") and not _above(rate)):
        yield f"rate {rate!r} is neither a number of requests per second above 0 nor a shape such as Ramp or Burst"


def _above(value: object) -> bool:
    """Whether *value* is a finite number above 0."""
    return isinstance(value, int | float) and 0 < value < math.inf
