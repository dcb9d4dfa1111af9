"""What a fault's arguments must be; all problems are told at once, before anything is touched."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import chain
from typing import Final

from chaos.errors import FaultError

LONGEST_MS: Final = 600_000
"""Ten minutes: no fault means to delay anything longer."""

RAREST: Final = 0.01
"""The least share of connections: seeing a rarer one for sure would take thousands of probes."""

SHORTEST_MS: Final = 20
"""How long a stage of a fault lasts at least. Taking out a toxic that may hold data lengthens it by 50 ms."""


def check(fault: object, *problems: Iterable[str]) -> None:
    """Raise FaultError with all *problems* of *fault*, unless there are none."""
    if found := [*chain.from_iterable(problems)]:
        raise FaultError(type(fault).__name__, found)


def whole(fault: object, name: str, at_least: int, at_most: int) -> Iterator[str]:
    """The attribute *name* must be a whole number in that range."""
    value = getattr(fault, name)
    if isinstance(value, bool) or not isinstance(value, int) or not at_least <= value <= at_most:
        yield f"{name} is {value!r}; expected a whole number from {at_least} to {at_most}"


def share(fault: object) -> Iterator[str]:
    """The attribute ``toxicity`` must be a share that can be seen to hit somebody."""
    value = getattr(fault, "toxicity", None)
    if isinstance(value, bool) or not isinstance(value, int | float) or not RAREST <= value <= 1:
        yield f"toxicity is {value!r}; expected the share of connections that it hits, from {RAREST:g} to 1"


def one_of(fault: object, name: str, choices: Iterable[object]) -> Iterator[str]:
    """The attribute *name* must be one of *choices*."""
    if (value := getattr(fault, name)) not in (allowed := [*choices]):
        yield f"{name} is {value!r}; expected {' or '.join(repr(choice) for choice in allowed)}"


def duration(fault: object, name: str) -> Iterator[str]:
    """The attribute *name* must be a number of seconds that a fault can last."""
    value, shortest_s, longest_s = getattr(fault, name), SHORTEST_MS / 1000, LONGEST_MS // 1000
    if isinstance(value, bool) or not isinstance(value, int | float) or not shortest_s <= value <= longest_s:
        yield f"{name} is {value!r}; expected a number of seconds from {shortest_s:g} to {longest_s}"
