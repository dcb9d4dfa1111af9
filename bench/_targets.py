"""Targets: figures that a benchmark promises, declared beside what it measures, and whether they were met."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

EACH = "*"
"""In a path: whatever stands there, as long as it has the rest of the path."""


@dataclass(frozen=True, slots=True)
class Target:
    """What is wanted of a figure.

    Attributes:
        path: the names that lead to it; EACH stands for all of them.
        wants: in words, such as "at most 2".
        fits: whether a value is that.
    """

    path: tuple[str, ...]
    wants: str
    fits: Callable[[Any], bool]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a target at one figure."""

    figure: str
    value: object
    wants: str
    met: bool

    def __str__(self) -> str:
        return f"{'✓' if self.met else '✗'} {self.figure}: {self.value} ({self.wants})"


def at_most(limit: float, *path: str) -> Target:
    """The figure at *path* is a number and not above *limit*."""
    return Target(path, f"at most {limit:g}", lambda value: _is_number(value) and value <= limit)


def at_least(limit: float, *path: str) -> Target:
    """The figure at *path* is a number and not below *limit*."""
    return Target(path, f"at least {limit:g}", lambda value: _is_number(value) and value >= limit)


def one_of(values: Sequence[object], *path: str) -> Target:
    """The figure at *path* is one of *values*."""
    return Target(path, " or ".join(map(str, values)), lambda value: value in values)


def judged(figures: Mapping[str, Any], targets: Sequence[Target]) -> list[Outcome]:
    """Every target at every figure it speaks of; one that finds no figure is missed."""
    outcomes = []
    for target in targets:
        found = list(_found(figures, target.path, ()))
        outcomes += [Outcome(name, value, target.wants, target.fits(value)) for name, value in found]
        if not found:
            outcomes.append(Outcome(" → ".join(target.path), "not measured", target.wants, met=False))
    return outcomes


def _found(figures: object, path: tuple[str, ...], before: tuple[str, ...]) -> Iterator[tuple[str, object]]:
    if not path:
        yield " → ".join(before), figures
        return
    if isinstance(figures, Mapping):
        for name in figures if path[0] == EACH else [path[0]]:
            if name in figures:
                yield from _found(figures[name], path[1:], (*before, name))


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
