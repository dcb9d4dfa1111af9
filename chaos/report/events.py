"""The lane of events: what people and the lab did, and what the breakers did in answer."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Final

from chaos.checkers.metrics import BREAKER
from chaos.report.lane import BLUE, INK, PURPLE, SOFT, VERMILLION, Kind, Lane, Look, Point, Series
from chaos.report.run import Happening, Run
from chaos.report.sampled import Sampled
from chaos.report.services import STATES, stretches
from chaos.report.witness import Card

KINDS: Final = {
    "note": Look(colour=BLUE, symbol="star"),
    "witness": Look(colour=INK, symbol="diamond-open"),
    "breaker": Look(colour=VERMILLION, symbol="triangle-up"),
    "fault": Look(colour=PURPLE, symbol="x"),
    "phase": Look(colour=SOFT, symbol="circle"),
}
"""Rows from below, and how each is marked."""

_ROW_OF: Final = {"inject": "fault", "heal": "fault"}


def events(run: Run, sampled: Sampled, cards: Sequence[Card]) -> Lane:
    """One mark for each happening; the rows that have none are left out."""
    happened = [*run.happenings, *_breakers(sampled), *_witnesses(cards)]
    rows = [kind for kind in KINDS if any(_ROW_OF.get(h.kind, h.kind) == kind for h in happened)]
    return Lane(
        name="events",
        title="Events and notes",
        note="" if run.happenings else "phases are not in this history",
        series=tuple(_marks(kind, row, happened) for row, kind in enumerate(rows)),
        scale="rows",
        rows=tuple(rows),
        height=20 * max(1, len(rows)),
    )


def _marks(kind: str, row: int, happened: Sequence[Happening]) -> Series:
    found = sorted((h for h in happened if _ROW_OF.get(h.kind, h.kind) == kind), key=lambda h: h.at_s)
    points = tuple(Point(start_s=h.at_s, end_s=h.at_s, value=1.0, says=h.says) for h in found)
    return Series(name=kind, kind=Kind.MARKS, look=KINDS[kind], row=row, points=points)


def _breakers(sampled: Sampled) -> list[Happening]:
    """Every change of a breaker's state that two samples show."""
    return [
        Happening(at_s=after.start_s, kind="breaker", says=f"{edge} {STATES[after.state][0]}")
        for edge, tracks in sampled.by(BREAKER, "edge").items()
        for before, after in pairwise(stretches(tracks))
        if before.state != after.state and after.state in STATES
    ]


def _witnesses(cards: Sequence[Card]) -> list[Happening]:
    return [Happening(at_s=c.at_s, kind="witness", says=c.says) for c in cards if c.at_s is not None]
