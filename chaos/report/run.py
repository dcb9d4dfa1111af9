"""One run as the report sees it: its history on an axis of seconds, its phases and its happenings."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from chaos.clock import NS_PER_S
from chaos.history import FaultWindow, History, read_lines
from chaos.report.bins import Grid
from chaos.results.model import Result

HAPPENINGS: Final = ("phase", "note", "inject", "heal")
"""Lines of a history that people want to see as events."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Phase:
    """Baseline, fault or recovery."""

    name: str
    start_s: float
    end_s: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Happening:
    """Something at one moment: a phase begins, a fault is sent or taken back, somebody notes something."""

    at_s: float
    kind: str
    says: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Run:
    """What the lanes of one scenario are made of.

    Attributes:
        result: its verdict.
        history: what was recorded.
        happenings: by time.
        header: the first line of its history, such as ``utc``; empty when it is not known.
        grid: the bins of its time axis.
    """

    result: Result
    history: History
    happenings: tuple[Happening, ...] = ()
    header: Mapping[str, Any] = field(default_factory=dict)
    grid: Grid

    @classmethod
    def of(
        cls,
        result: Result,
        history: History,
        happenings: Iterable[Happening] = (),
        header: Mapping[str, Any] | None = None,
    ) -> Run:
        """*result* and *history* on one axis, from the first line to the last thing that happened."""
        return cls(
            result=result,
            history=history,
            happenings=tuple(happenings),
            header=header or {},
            grid=Grid.over((_last_ns(history) - history.start_ns) / NS_PER_S),
        )

    @classmethod
    def load(cls, result: Result) -> Run:
        """Read the histories in the result's folder; raises HistoryError when they are damaged."""
        history = History.load(result.folder)
        header, happenings = _read_happenings(result.folder, history.start_ns)
        return cls.of(result, history, happenings, header)

    def s(self, time_ns: int) -> float:
        """Seconds since the start, to the millisecond."""
        return round((time_ns - self.history.start_ns) / NS_PER_S, 3)

    @property
    def length_s(self) -> float:
        """Seconds from the start to the last thing that happened."""
        return self.grid.length_s

    @property
    def started_utc(self) -> datetime | None:
        """When it started; None when the history does not say."""
        try:
            return datetime.fromisoformat(self.header["utc"]).astimezone(UTC)
        except (KeyError, TypeError, ValueError):
            return None

    def utc(self, at_s: float) -> str:
        """The time of day in UTC, *at_s* seconds after the start; empty when that is not known."""
        started = self.started_utc
        return f"{started + timedelta(seconds=at_s):%H:%M:%S} UTC" if started else ""

    def phases(self) -> tuple[Phase, ...]:
        """Baseline, fault (change sent until proved healed) and recovery, without a gap."""
        found: list[Phase] = []
        at_s = 0.0
        for start_s, end_s in _merged((self.s(f.sent_ns), self.s(f.healed_ns)) for f in self.history.faults):
            found.append(Phase(name="recovery" if found else "baseline", start_s=at_s, end_s=start_s))
            found.append(Phase(name="fault", start_s=start_s, end_s=end_s))
            at_s = end_s
        found.append(Phase(name="recovery" if found else "baseline", start_s=at_s, end_s=self.length_s))
        return tuple(p for p in found if p.end_s > p.start_s)


def under(windows: Iterable[FaultWindow], time_ns: int) -> bool:
    """Whether one of *windows* is in effect at that time."""
    return any(w.injected_ns <= time_ns <= w.heal_sent_ns for w in windows)


def _last_ns(history: History) -> int:
    ends = [history.end_ns]
    ends += [o.answered_ns for o in history.operations]
    ends += [f.healed_ns for f in history.faults]
    ends += [s.time_ns for s in history.samples[-1:]]
    return max(ends)


def _merged(spans: Iterable[tuple[float, float]]) -> list[tuple[float, float]]:
    """*spans* by time, those that overlap as one."""
    merged: list[tuple[float, float]] = []
    for start, end in sorted(spans):
        if merged and start <= merged[-1][1]:
            merged[-1] = merged[-1][0], max(end, merged[-1][1])
        else:
            merged.append((start, end))
    return merged


def _read_happenings(folder: Path, start_ns: int) -> tuple[Mapping[str, Any], list[Happening]]:
    """The first line of the history and the lines that are happenings."""
    header: Mapping[str, Any] = {}
    happenings = []
    for number, entry in read_lines(folder / "history.jsonl"):
        if number == 1:
            header = entry
        elif entry["type"] in HAPPENINGS:
            at_s = round((entry["time"] - start_ns) / NS_PER_S, 3)
            happenings.append(Happening(at_s=at_s, kind=entry["type"], says=_said(entry)))
    return header, happenings


def _said(entry: Mapping[str, Any]) -> str:
    if entry["type"] in {"inject", "heal"}:
        return f"{entry['type']} {entry.get('fault', 'a fault')} on {entry.get('on', 'an edge')}"
    return str(entry.get("name") or entry.get("text") or entry["type"])
