"""Lanes under one time axis, as a figure in Plotly's JSON schema.

Colours are names such as ``@ink``: the page puts those of its theme in their place.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import log10
from typing import Any, Final

from chaos.report.clients import DECADES
from chaos.report.lane import Kind, Lane
from chaos.report.run import Run
from chaos.report.traces import heat_of, numbered, traces

Json = Mapping[str, Any]

TITLE_PX: Final = 34
TOP_PX: Final = 22
BOTTOM_PX: Final = 44
LEFT_PX: Final = 54
RIGHT_PX: Final = 8
LINE_PX: Final = 17
"""Height of one line of the legend."""

WORDS_SHARE: Final = 0.07
"""A phase shorter than this share of the run is shaded, but not named."""

WASHES: Final = {"baseline": "@baseline", "fault": "@fault", "recovery": "@recovery"}


@dataclass(frozen=True, kw_only=True, slots=True)
class Place:
    """Where a lane lies on the page, in pixels from the top of the figure."""

    lane: Lane
    top: int
    height: int

    @property
    def bottom(self) -> int:
        """Its lower end."""
        return self.top + self.height


def places(lanes: Sequence[Lane]) -> list[Place]:
    """The lanes from above, each high enough for its legend beside it."""
    found: list[Place] = []
    top = TOP_PX
    for lane in lanes:
        lines = 0 if lane.scale == "rows" else sum(s.kind is Kind.STEPS for s in lane.series) + bool(heat_of(lane))
        height = max(lane.height, LINE_PX * lines - 4) if lane.series else LINE_PX + 4
        found.append(Place(lane=lane, top=top + TITLE_PX, height=height))
        top += TITLE_PX + height
    return found


def figure(run: Run, lanes: Sequence[Lane]) -> dict[str, Any]:
    """Data and layout of the whole picture."""
    placed = places(lanes)
    height = placed[-1].bottom + BOTTOM_PX
    data = [trace for number, place in enumerate(placed, 1) for trace in traces(run, place.lane, number)]
    layout = {
        "height": height,
        "margin": {"l": LEFT_PX, "r": RIGHT_PX, "t": TOP_PX, "b": BOTTOM_PX, "pad": 0},
        "paper_bgcolor": "@paper",
        "plot_bgcolor": "@clear",
        "font": {"family": "system-ui, sans-serif", "size": 11, "color": "@ink"},
        "showlegend": False,
        "hovermode": False,
        "dragmode": "zoom",
        "barmode": "overlay",
        "uniformtext": {"mode": "hide", "minsize": 9},
        "xaxis": _time_axis(run, len(placed)),
        "shapes": [*_phases(run), *_limits(placed)],
        "annotations": [
            *_words(run, placed, height),
            *_phase_words(run),
            *_limit_words(placed),
            *_fault_words(run, placed),
        ],
    }
    inner = height - TOP_PX - BOTTOM_PX
    for number, place in enumerate(placed, 1):
        share = [1 - (place.bottom - TOP_PX) / inner, 1 - (place.top - TOP_PX) / inner]
        layout[numbered("yaxis", number)] = _value_axis(place.lane, share)
        layout[numbered("legend", number)] = {"x": 1.005, "xanchor": "left", "y": share[1], "yanchor": "top"}
    return {"data": data, "layout": layout}


def _time_axis(run: Run, lanes: int) -> Json:
    started = run.started_utc
    since = f"{started:%Y-%m-%d %H:%M:%S} UTC" if started else "the start"
    return {
        "anchor": numbered("y", lanes),
        "range": [0, run.length_s],
        "minallowed": 0,
        "maxallowed": run.length_s,
        "ticksuffix": " s",
        "title": {"text": f"seconds since {since}", "standoff": 6},
        "gridcolor": "@line",
        "zeroline": False,
    }


def _value_axis(lane: Lane, share: Sequence[float]) -> Json:
    axis: dict[str, Any] = {
        "domain": [round(s, 6) for s in share],
        "fixedrange": True,
        "gridcolor": "@line",
        "zeroline": False,
        "range": [0, lane.top],
        "nticks": 4,
    }
    if not lane.series:
        return axis | {"range": [0, 1], "showticklabels": False, "showgrid": False}
    if lane.scale == "rows":
        middles = [row + 0.5 for row in range(len(lane.rows))]
        rows = {"tickvals": middles, "ticktext": list(lane.rows), "showticklabels": False, "showgrid": False}
        return axis | {"range": [0, len(lane.rows)], "side": "right"} | rows
    if lane.scale == "log":
        ticks = [10.0**power for power in range(DECADES[0], DECADES[1] + 1)]
        return axis | {"type": "log", "range": [DECADES[0], log10(lane.top)], "tickvals": ticks, "ticktext": _ms(ticks)}
    if lane.unit == "share":
        return axis | {"tickvals": [0, 0.5, 1], "tickformat": ".0%"}
    return axis


def _ms(ticks: Sequence[float]) -> list[str]:
    return [f"{t / 1000:g} s" if t >= 1000 else f"{t:g} ms" for t in ticks]  # noqa: PLR2004  (milliseconds)


def _phases(run: Run) -> Iterator[Json]:
    for phase in run.phases():
        yield {
            "type": "rect",
            "xref": "x",
            "yref": "paper",
            "x0": phase.start_s,
            "x1": phase.end_s,
            "y0": 0,
            "y1": 1,
            "fillcolor": WASHES[phase.name],
            "line": {"width": 0},
            "layer": "below",
        }


def _phase_words(run: Run) -> Iterator[Json]:
    for phase in run.phases():
        if phase.end_s - phase.start_s >= run.length_s * WORDS_SHARE:
            place = {"x": (phase.start_s + phase.end_s) / 2, "xref": "x", "y": 1, "yref": "paper", "yanchor": "bottom"}
            yield place | {"text": f"<b>{phase.name}</b>", "showarrow": False, "font": {"color": "@soft", "size": 11}}


def _limits(placed: Sequence[Place]) -> Iterator[Json]:
    for number, place in enumerate(placed, 1):
        if place.lane.limit and place.lane.series:
            at = place.lane.limit[0]
            line = {"color": "@ink", "width": 1, "dash": "dashdot"}
            yield {
                "type": "line",
                "xref": "paper",
                "yref": numbered("y", number),
                "x0": 0,
                "x1": 1,
                "y0": at,
                "y1": at,
                "line": line,
            }


def _limit_words(placed: Sequence[Place]) -> Iterator[Json]:
    for number, place in enumerate(placed, 1):
        if place.lane.limit and place.lane.series:
            at, words = place.lane.limit
            yield {
                "text": words,
                "x": 1,
                "xref": "paper",
                "xanchor": "right",
                "y": at,
                "yref": numbered("y", number),
                "yanchor": "top",
                "showarrow": False,
                "font": {"size": 10},
                "bgcolor": "@veil",
            }


def _fault_words(run: Run, placed: Sequence[Place]) -> Iterator[Json]:
    """The fault's name to the left of its window, where the window before leaves room for it."""
    for number, place in enumerate(placed, 1):
        for series in place.lane.series if place.lane.name == "faults" else ():
            room_from = 0.0
            for p in series.points if series.kind is Kind.SPANS else ():
                if p.start_s - room_from >= run.length_s * WORDS_SHARE * 2:
                    at = {"x": p.start_s, "xref": "x", "xanchor": "right", "y": series.row + 0.5}
                    yield at | {"text": f"{p.says} ", "yref": numbered("y", number), "showarrow": False}
                room_from = p.end_s


def _words(run: Run, placed: Sequence[Place], height: int) -> Iterator[Json]:
    """Each lane's title above it, and the words for a lane without data."""
    inner = height - TOP_PX - BOTTOM_PX
    for place in placed:
        top = 1 - (place.top - TOP_PX) / inner
        note = f'<span style="font-size:10px">  {place.lane.note}</span>' if place.lane.series else ""
        base = {"xref": "paper", "yref": "paper", "showarrow": False}
        yield base | {
            "text": f"<b>{place.lane.title}</b>{note}",
            "name": place.lane.name,
            "x": 0,
            "xanchor": "left",
            "y": top,
            "yanchor": "bottom",
            "font": {"size": 12},
        }
        if not place.lane.series:
            middle = top - place.height / inner / 2
            yield (
                base
                | {"text": f"not measured in this run ({run.result.id})", "x": 0.5, "y": middle}
                | {"font": {"color": "@soft"}}
            )
