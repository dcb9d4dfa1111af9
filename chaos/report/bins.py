"""Cutting time into bins, and what may be said about each."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from chaos.checkers.finding import PERCENTILE_MIN

WIDTHS_S: Final = (0.25, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 300.0, 900.0, 3600.0)
BINS_MAX: Final = 600


@dataclass(frozen=True, kw_only=True, slots=True)
class Grid:
    """Bins of equal width over a run; a rest shorter than half a bin belongs to the last one.

    Attributes:
        width_s: of a bin.
        edges: the start of each bin, and the end of the last.
    """

    width_s: float
    edges: tuple[float, ...]

    @classmethod
    def over(cls, length_s: float) -> Grid:
        """At most ``BINS_MAX`` bins over *length_s* seconds."""
        length_s = max(round(length_s, 3), WIDTHS_S[0])
        width_s = next((w for w in WIDTHS_S if round(length_s / w) <= BINS_MAX), WIDTHS_S[-1])
        count = max(1, round(length_s / width_s))
        return cls(width_s=width_s, edges=(*(number * width_s for number in range(count)), length_s))

    @property
    def length_s(self) -> float:
        """The whole."""
        return self.edges[-1]

    @property
    def bins(self) -> list[tuple[float, float]]:
        """Start and end of each."""
        return list(pairwise(self.edges))

    def at(self, at_s: float) -> int:
        """The number of the bin that holds the moment *at_s*; the nearest one for moments outside."""
        return min(max(bisect_right(self.edges, at_s) - 1, 0), len(self.edges) - 2)

    def count(self, moments_s: Iterable[float]) -> list[int]:
        """How many of the moments fall into each bin."""
        counts = [0] * (len(self.edges) - 1)
        for at_s in moments_s:
            counts[self.at(at_s)] += 1
        return counts

    def __str__(self) -> str:
        return f"bins of {self.width_s:g} s"


def enough(moments_s: Sequence[float], start_s: float, end_s: float, least_s: float) -> list[tuple[float, float]]:
    """Cut one phase into the narrowest bins that hold ``PERCENTILE_MIN`` of the moments each.

    Args:
        moments_s: in order, all inside the phase.
        start_s, end_s: of the phase.
        least_s: no bin is narrower.

    Returns:
        Start and end of each bin, without gaps. A phase with too few moments is one bin.
    """
    cuts, began, left = [start_s], 0, len(moments_s)
    for number, at_s in enumerate(moments_s):
        wide_enough = at_s - cuts[-1] >= least_s and number - began >= PERCENTILE_MIN
        if wide_enough and left - number >= PERCENTILE_MIN and end_s - at_s >= least_s:
            cuts.append(at_s)
            began = number
    return list(pairwise([*cuts, end_s]))
