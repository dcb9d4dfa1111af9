"""Several plans in one, each with its share."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import accumulate

from chaos.errors import ConfigError
from chaos.lab import Lab
from chaos.workload.request import Plan, Request


@dataclass(frozen=True, kw_only=True, slots=True)
class Mix:
    """A plan that draws each request from one of *parts*, as often as its weight says.

    Attributes:
        parts: plans and their weights, such as ``((reads, 9), (writes, 1))``.
        seed: of the draw; the same seed gives the same order.

    Raises:
        ConfigError: no parts, or weights that are not above 0; lists every problem.
    """

    parts: tuple[tuple[Plan, float], ...]
    seed: int = 0

    def __post_init__(self) -> None:
        problems = [] if self.parts else ["parts is empty: name at least one (plan, weight)"]
        for plan, weight in self.parts:
            if not callable(plan):
                problems.append(f"{plan!r} is not a plan")
            if isinstance(weight, bool) or not isinstance(weight, int | float) or not 0 < weight < float("inf"):
                problems.append(f"weight {weight!r} of {name(plan)} is not a number above 0")
        if problems:
            raise ConfigError("Mix", problems)

    def __call__(self, lab: Lab) -> Iterator[Request]:
        """Prepare every part and return the mixture; it ends when one of the parts does."""
        requests = [plan(lab) for plan, _ in self.parts]
        # A generator prepares the platform only when it is first asked.
        ahead = [next(part, None) for part in requests]
        empty = [name(plan) for (plan, _), first in zip(self.parts, ahead, strict=True) if first is None]
        if empty:
            raise ConfigError("Mix", [f"plan {plan} yields no request" for plan in empty])
        bounds = list(accumulate(weight for _, weight in self.parts))
        return self._drawn(requests, [first for first in ahead if first is not None], bounds)

    def _drawn(self, requests: list[Iterator[Request]], ahead: list[Request], bounds: list[float]) -> Iterator[Request]:
        chance = random.Random(self.seed)  # noqa: S311  (mixes load, guards nothing)
        places = range(len(requests))
        while True:
            place = chance.choices(places, cum_weights=bounds)[0]
            yield ahead[place]
            try:
                ahead[place] = next(requests[place])
            except StopIteration:
                return


def name(plan: object) -> str:
    """What a plan is called: the name of its function or class."""
    return getattr(plan, "__name__", type(plan).__name__)
