"""The lanes of the report as sparklines on a terminal, several beside each other: those that have data."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final

from rich.console import Console, Group, RenderableType
from rich.text import Text

from chaos.cli.live import verdict_text
from chaos.report.clients import share_of_decades
from chaos.report.lane import Kind, Lane, Point
from chaos.report.page import Chapter
from chaos.report.services import STATES

SPARK_MAX: Final = 32
SPARK_MIN: Final = 8
NAME, WORDS, INDENT = 8, 14, 2
"""Columns for the name of a gauge, for its worst moment in words, and before both."""
BESIDE: Final = INDENT + NAME + WORDS + 2
"""Columns that a gauge takes beside its sparkline."""
GOOD: Final = 14
"""Columns of a sparkline that are worth another gauge in the same line."""
MOMENT_S: Final = 1e-3
"""How long something is drawn that has no length."""


@dataclass(frozen=True, slots=True)
class Signs:
    """The characters of the sparklines: eight heights, a breaker that is closed, half-open, open, and an event."""

    heights: str
    states: str
    event: str


UNICODE: Final = Signs("▁▂▃▄▅▆▇█", "─▒█", "◆")
ASCII: Final = Signs("_.,-=+*#", "-/#", "*")


@dataclass(frozen=True, kw_only=True, slots=True)
class Gauge:
    """One thing to draw: its values, which of two is worse, its sign in a column, and its words."""

    name: str
    points: Sequence[Point]
    worse: Callable[[Iterable[float]], float]
    sign: Callable[[float], str]
    words: Callable[[float], str]

    def line(self, columns: int, end_s: float) -> str:
        """One sign for each equal share of the run, for the worst in it; a blank where nothing was measured."""
        return "".join(
            self._column(number * end_s / columns, (number + 1) * end_s / columns) for number in range(columns)
        )

    def worst(self) -> str:
        """The worst of all, in words; empty where nothing was measured."""
        values = [p.value for p in self.points if p.value is not None]
        return self.words(self.worse(values)) if values else ""

    def _column(self, start_s: float, end_s: float) -> str:
        values = [p.value for p in self.points if p.value is not None and p.start_s < end_s and start_s < p.end_s]
        return self.sign(self.worse(values)) if values else " "


def sparklines(chapters: Sequence[Chapter], console: Console) -> RenderableType:
    """Some short lines for each scenario, as many gauges beside each other as the terminal is wide for."""
    signs = ASCII if console.options.ascii_only else UNICODE
    return Group(*(line for chapter in chapters if chapter.run for line in _lines(chapter, signs, console.width)))


def gauges(chapter: Chapter, signs: Signs) -> list[Gauge]:
    """One for each lane of the page, in its order: of several operations, edges or pools always the worst."""
    lanes = {lane.name: lane for lane in chapter.lanes}
    states = {number: word for number, (word, _) in STATES.items()}
    shares = {"sign": lambda v: _height(v, signs)}
    return [
        _faults(lanes["faults"], signs),
        _relative("answered", lanes["rate"], signs, "/s", only="answered"),
        Gauge(
            name="success", points=_points([lanes["success"]]), worse=min, words=lambda v: f"least {v:.0%}", **shares
        ),
        Gauge(
            name="p99",
            points=_points((lane for name, lane in lanes.items() if name.startswith("latency")), only="p99"),
            worse=max,
            sign=lambda v: _height(share_of_decades(v), signs),
            words=lambda v: f"most {v:.0f} ms",
        ),
        Gauge(
            name="breakers",
            points=_points([lanes["breakers"]], Kind.SPANS),
            worse=max,
            sign=lambda v: signs.states[int(v)],
            words=lambda v: states[int(v)],
        ),
        _relative("attempts", lanes["attempts"], signs),
        Gauge(name="hits", points=_hits(lanes["cache"]), worse=min, words=lambda v: f"least {v:.0%}", **shares),
        _relative("pools", lanes["pools"], signs),
        Gauge(
            name="events",
            points=(events := [replace(p, end_s=p.end_s + MOMENT_S) for p in _points([lanes["events"]], Kind.MARKS)]),
            worse=max,
            sign=lambda _: signs.event,
            words=lambda _: f"{len(events)} events",
        ),
    ]


def _relative(name: str, lane: Lane, signs: Signs, unit: str = "", only: str | None = None) -> Gauge:
    """The largest values of *lane*, as high as on its own axis."""
    return Gauge(
        name=name,
        points=_points([lane], only=only),
        worse=max,
        sign=lambda v: _height(v / lane.top, signs),
        words=lambda v: f"most {v:g}{unit}",
    )


def _points(lanes: Iterable[Lane], kind: Kind = Kind.STEPS, only: str | None = None) -> list[Point]:
    series = (s for lane in lanes for s in lane.series if s.kind is kind)
    return [point for s in series if only in {None, s.name} for point in s.points]


def _faults(lane: Lane, signs: Signs) -> Gauge:
    """What was measured in the windows; one in which nothing was measured lies flat."""
    measured = _points([lane], Kind.BARS)
    said = {p.value: p.says.split(", ")[0].split(" n ")[0].removeprefix("probe ") for p in measured}
    return Gauge(
        name="faults",
        points=[*(replace(p, value=0.0) for p in _points([lane], Kind.SPANS)), *measured],
        worse=max,
        sign=lambda v: _height(v, signs),
        words=lambda v: said.get(v, "not measured"),
    )


def _hits(lane: Lane) -> list[Point]:
    """The share of answers that were fresh from the cache."""
    found = []
    for bins in zip(*(s.points for s in lane.series), strict=True):
        hits = sum(p.value or 0.0 for s, p in zip(lane.series, bins, strict=True) if s.name == "hit")
        if everything := sum(p.value or 0.0 for p in bins):
            found.append(replace(bins[0], value=hits / everything))
    return found


def _height(share: float, signs: Signs) -> str:
    last = len(signs.heights) - 1
    return signs.heights[min(max(round(share * last), 0), last)]


def _lines(chapter: Chapter, signs: Signs, width: int) -> Iterator[Text]:
    found = gauges(chapter, signs)
    there = [gauge for gauge in found if gauge.worst()]
    beside = min(max(1, width // (BESIDE + GOOD)), max(1, len(there)))
    columns = max(SPARK_MIN, min(width // beside - BESIDE, SPARK_MAX))
    lacking = ", ".join(gauge.name for gauge in found if not gauge.worst())
    title = Text.assemble(_verdict(chapter, signs), " ", chapter.result.id)
    title.append(f"  not measured: {lacking}" if lacking else "", style="dim")
    title.truncate(width)
    yield title
    end_s = chapter.run.length_s if chapter.run else 0.0
    for first in range(0, len(there), beside):
        yield Text("").join(_cell(gauge, columns, end_s) for gauge in there[first : first + beside])


def _cell(gauge: Gauge, columns: int, end_s: float) -> Text:
    name, worst = f"{gauge.name:<{NAME}}"[:NAME], f"{gauge.worst():<{WORDS}}"[:WORDS]
    return Text.assemble(" " * INDENT, name, " ", gauge.line(columns, end_s), " ", (worst, "dim"))


def _verdict(chapter: Chapter, signs: Signs) -> Text:
    """The verdict with its icon, or as a word alone where the terminal knows no icons."""
    verdict = chapter.result.verdict
    return Text(verdict.lower()) if signs is ASCII else verdict_text(verdict)
