"""The services' metrics of a run, sorted once by name and labels."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from chaos.report.bins import Grid
from chaos.report.run import Run

_LABEL: Final = re.compile(r'(\w+)="([^"]*)"')

Track = Sequence[tuple[float, float]]
"""Seconds and value of each sample, by time."""


@dataclass(frozen=True, slots=True)
class Sampled:
    """Tracks by metric and labels."""

    tracks: Mapping[str, Mapping[tuple[tuple[str, str], ...], Track]]

    @classmethod
    def of(cls, run: Run) -> Sampled:
        """Everything that was sampled in *run*."""
        tracks: defaultdict[str, defaultdict[tuple[tuple[str, str], ...], list[tuple[float, float]]]]
        tracks = defaultdict(lambda: defaultdict(list))
        for sample in run.history.samples:
            at_s = run.s(sample.time_ns)
            for key, value in sample.values.items():
                metric, labels = _parsed(key)
                tracks[metric][labels].append((at_s, value))
        return cls(tracks)

    def by(self, metric: str, label: str, **wanted: str) -> dict[str, list[Track]]:
        """The tracks of *metric* that carry the *wanted* labels, grouped by the value of *label*."""
        groups: dict[str, list[Track]] = {}
        for labels, track in self.tracks.get(metric, {}).items():
            named = dict(labels)
            if label in named and wanted.items() <= named.items():
                groups.setdefault(named[label], []).append(track)
        return groups


def grown(tracks: Iterable[Track], grid: Grid) -> list[float | None]:
    """How much counters grew in each bin, together; None where none was sampled or one began anew."""
    total: list[float | None] = [None] * len(grid.bins)
    for track in tracks:
        times = [at_s for at_s, _ in track]
        for number, (start_s, end_s) in enumerate(grid.bins):
            before, after = bisect_right(times, start_s) - 1, bisect_right(times, end_s) - 1
            if before < 0 or after == before:
                continue
            growth = track[after][1] - track[before][1]
            if growth >= 0:
                total[number] = (total[number] or 0.0) + growth
    return total


def largest(tracks: Iterable[Track], grid: Grid) -> list[float | None]:
    """The largest sum of gauges that was sampled in each bin; None where none was."""
    peaks: list[float | None] = [None] * len(grid.bins)
    sums: defaultdict[float, float] = defaultdict(float)
    for track in tracks:
        for at_s, value in track:
            sums[at_s] += value
    for at_s, value in sums.items():
        number = grid.at(at_s)
        seen = peaks[number]
        peaks[number] = value if seen is None else max(seen, value)
    return peaks


@lru_cache(maxsize=4096)
def _parsed(key: str) -> tuple[str, tuple[tuple[str, str], ...]]:
    metric, _, labels = key.partition("{")
    return metric, tuple(_LABEL.findall(labels))
