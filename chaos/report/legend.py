"""The column beside the picture: what each line is, and where its value at the cursor is read."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from chaos.report.figure import LINE_PX, Place
from chaos.report.lane import Kind, Lane

DASHES: Final = {
    "solid": "",
    "dash": "6 3",
    "dot": "2 3",
    "dashdot": "6 3 2 3",
    "longdash": "10 4",
    "longdashdot": "10 4 2 4",
    "4px,2px": "4 2",
    "1px,3px": "1 3",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Entry:
    """One line of the legend: its place in pixels, its name, and how it is drawn.

    Attributes:
        reads: the series or, in a lane of rows, the row whose value is shown at the cursor.
        colour: of the theme, without the sign before it; empty for a row.
        dash: as SVG writes it.
    """

    top: int
    name: str
    reads: str
    colour: str = ""
    dash: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Group:
    """The legend of one lane; ``top`` is where its title stands."""

    lane: Lane
    top: int
    entries: tuple[Entry, ...]


def legend(placed: Sequence[Place]) -> list[Group]:
    """A group for each lane, from above."""
    return [
        Group(
            lane=place.lane,
            top=place.top - LINE_PX,
            entries=tuple(_rows(place) if place.lane.scale == "rows" else _lines(place)),
        )
        for place in placed
    ]


def _rows(place: Place) -> Iterator[Entry]:
    """Names beside their rows; the first row is the lowest."""
    rows = place.lane.rows
    for number, name in enumerate(rows):
        middle = place.bottom - round((number + 0.5) * place.height / len(rows))
        yield Entry(top=middle - LINE_PX // 2, name=name, reads=str(number))


def _lines(place: Place) -> Iterator[Entry]:
    lines = [s for s in place.lane.series if s.kind is Kind.STEPS]
    for number, series in enumerate(lines):
        yield Entry(
            top=place.top + number * LINE_PX,
            name=series.name,
            reads=series.name,
            colour=series.look.colour.removeprefix("@"),
            dash=DASHES[series.look.dash],
        )
    if any(s.kind is Kind.HEAT for s in place.lane.series):
        yield Entry(top=place.top + len(lines) * LINE_PX, name="requests", reads="cells", colour="heat")
