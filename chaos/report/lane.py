"""What a lane is: named series over the seconds of one run, ready to be drawn, read and written as CSV."""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass, field
from enum import StrEnum
from math import floor, log10
from typing import Final, Literal

COLUMNS: Final = ("series", "start_s", "end_s", "value", "n", "says")
"""The columns of every lane's CSV file."""

# Names of colours that the page's two themes know: Okabe and Ito's palette, told apart with every
# kind of colour vision. Never colour alone: dashes, patterns, symbols and words carry the same.
BLUE, ORANGE, GREEN, PURPLE = "@blue", "@orange", "@green", "@purple"
SKY, VERMILLION, INK, SOFT = "@sky", "@vermillion", "@ink", "@soft"


class Kind(StrEnum):
    """How a series is drawn."""

    STEPS = "steps"
    SPANS = "spans"
    BARS = "bars"
    HEAT = "heat"
    MARKS = "marks"


@dataclass(frozen=True, kw_only=True, slots=True)
class Point:
    """One value from one moment to another.

    Attributes:
        start_s, end_s: seconds since the start of the run.
        value: None where nothing was measured: a gap.
        n: how many requests or samples it is made of.
        says: what it is in words, where a number does not tell.
    """

    start_s: float
    end_s: float
    value: float | None
    n: int | None = None
    says: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Look:
    """How a series is told from the others: colour and dash, pattern or symbol."""

    colour: str = INK
    dash: str = "solid"
    pattern: str = ""
    symbol: str = "circle"


LOOKS: Final = (
    Look(colour=BLUE),
    Look(colour=ORANGE, dash="dash"),
    Look(colour=GREEN, dash="dot"),
    Look(colour=PURPLE, dash="dashdot"),
    Look(colour=SKY, dash="longdash"),
    Look(colour=VERMILLION, dash="longdashdot"),
    Look(colour=INK, dash="4px,2px"),
    Look(colour=SOFT, dash="1px,3px"),
)
"""For series that are told apart by their place alone; a lane shows at most so many."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Series:
    """Values over time under one name; ``row`` is its place in a lane of rows, from below."""

    name: str
    points: tuple[Point, ...]
    kind: Kind = Kind.STEPS
    look: Look = field(default_factory=Look)
    row: int = 0

    @property
    def peak(self) -> float:
        """The largest value; 0 without one."""
        return max((p.value for p in self.points if p.value is not None), default=0.0)


@dataclass(frozen=True, kw_only=True, slots=True)
class Lane:
    """One strip of the page.

    Attributes:
        name: of its CSV file.
        title: what is shown; ``note`` how it was counted, binned or cut.
        series: none when nothing was measured.
        unit: of the values: "share", "ms", "/s", "".
        scale: "linear" from zero, "log", or "rows" with one line of ``rows`` for each thing.
        top: the end of the axis.
        limit: a horizontal line and its words, such as the SLO.
        height: in pixels.
    """

    name: str
    title: str
    note: str = ""
    series: tuple[Series, ...] = ()
    unit: str = ""
    scale: Literal["linear", "log", "rows"] = "linear"
    rows: tuple[str, ...] = ()
    top: float = 1.0
    limit: tuple[float, str] | None = None
    height: int = 90

    def csv(self) -> str:
        """The lane's data as CSV; an empty value is a gap."""
        file = io.StringIO()
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        for series in self.series:
            for p in series.points:
                writer.writerow((series.name, p.start_s, p.end_s, p.value, p.n, p.says))
        return file.getvalue()


def nice(value: float, least: float = 1.0) -> float:
    """The next 1, 2 or 5 times a power of ten: ends of axes that do not change with every run."""
    value = max(value, least)
    power = 10.0 ** floor(log10(value))
    return float(next((step * power for step in (1, 2, 5) if step * power >= value), 10 * power))


def shown(value: float) -> float:
    """*value* as it is drawn and written: rounded to what can be read."""
    return round(value, 4 if abs(value) < 10 else 2)  # noqa: PLR2004  (two digits are enough for more)
