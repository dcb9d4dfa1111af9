"""What a workload sends, as values."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from chaos.errors import ConfigError
from chaos.lab import Lab
from chaos.workload.answers import Answer, Extract
from chaos.workload.rates import Rate, Shape, rate_problems, shape_of


@dataclass(frozen=True, kw_only=True, slots=True)
class Request:
    """One client call.

    Attributes:
        operation: what it is to the checkers, such as "read" or "create".
        path: below the platform's front door, or a whole URL. Redirects are not followed.
        key: what it is about; checkers group by it.
        value: what it writes, unique within the run.
        reads: what it read, taken from the answer; recorded as the value once the operation is ok.
        reads_version: likewise the version of what it read or wrote, a whole number.
        idempotency_key: sent as ``Idempotency-Key``, the same for all attempts.
        attempts: how often the client tries while the outcome is unknown.
        within_s: how long it waits for one answer.
        then: what the same client does next, made of an ok answer; None from it ends the chain.
    """

    operation: str
    path: str
    method: str = "GET"
    headers: Mapping[str, str] = field(default_factory=dict)
    body: Any = None
    key: str | None = None
    value: Any = None
    reads: Extract | None = None
    reads_version: Extract | None = None
    idempotency_key: str | None = None
    attempts: int = 1
    within_s: float = 5.0
    then: Callable[[Answer], Request | None] | None = None


Plan = Callable[[Lab], Iterator[Request]]
"""Prepares the platform (users, rows) and then yields requests without end."""


@dataclass(frozen=True, kw_only=True, slots=True)
class OpenLoop:
    """Requests at planned moments, however slowly the platform answers.

    Attributes:
        plan: what to send.
        rate: requests per second, or how it changes: ``Ramp``, ``Burst``.

    Raises:
        ConfigError: the rate is none; lists every problem.
    """

    plan: Plan
    rate: Rate

    def __post_init__(self) -> None:
        _refuse("OpenLoop", [*_plan_problems(self.plan), *rate_problems(self.rate)])

    @property
    def shape(self) -> Shape:
        """When each request is due."""
        return shape_of(self.rate)


@dataclass(frozen=True, kw_only=True, slots=True)
class ClosedLoop:
    """Users who wait for each answer, and think, before they go on: for where concurrency is the point.

    Each user is one client process, and its requests follow each other. Those of a plan go to
    whichever user is free.

    Attributes:
        plan: what to send.
        users: how many at the same time.
        think_s: seconds from an answer to the next request, or (least, most) to draw from.

    Raises:
        ConfigError: numbers that make no sense; lists every problem.
    """

    plan: Plan
    users: int
    think_s: float | tuple[float, float] = 0.0

    def __post_init__(self) -> None:
        _refuse("ClosedLoop", [*_plan_problems(self.plan), *self._problems()])

    def _problems(self) -> Iterator[str]:
        if isinstance(self.users, bool) or not isinstance(self.users, int) or self.users < 1:
            yield f"users {self.users!r} is not a whole number of 1 or more"
        thinks = self.thinks
        numbers = all(isinstance(time, int | float) and 0 <= time < math.inf for time in thinks)
        if not numbers or len(thinks) != 2 or thinks[0] > thinks[1]:  # noqa: PLR2004  (a pair)
            yield f"think_s {self.think_s!r} is not 0 or more seconds, nor (least, most) of them"

    @property
    def thinks(self) -> tuple[float, float]:
        """The least and the most seconds of thinking."""
        return self.think_s if isinstance(self.think_s, tuple) else (self.think_s, self.think_s)


Workload = OpenLoop | ClosedLoop


def _plan_problems(plan: object) -> Iterator[str]:
    if not callable(plan):
        yield f"plan {plan!r} is not a function of the lab that returns an iterator of Request"


def _refuse(what: str, problems: list[str]) -> None:
    if problems:
        raise ConfigError(what, problems)
