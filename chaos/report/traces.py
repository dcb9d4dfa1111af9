"""One series of a lane as a trace in Plotly's JSON schema."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

from chaos.report.clients import ends
from chaos.report.lane import PURPLE, Kind, Lane, Series
from chaos.report.run import Run

BAR: Final = 0.84
"""How much of its row a bar fills."""


def numbered(name: str, number: int) -> str:
    """The name of the axis or legend with that number; the first has none."""
    return name if number == 1 else f"{name}{number}"


def heat_of(lane: Lane) -> list[Series]:
    """The rows of the lane's heat map, if it has one."""
    return [s for s in lane.series if s.kind is Kind.HEAT]


def traces(run: Run, lane: Lane, number: int) -> Iterator[dict[str, Any]]:
    """The traces of one lane, those that lie below the others first."""
    common = {
        "xaxis": "x",
        "yaxis": numbered("y", number),
        "legend": numbered("legend", number),
        "hoverinfo": "skip",
    }
    if heat := heat_of(lane):
        yield (
            common
            | {"meta": {"lane": lane.name, "series": [s.name for s in heat], "kind": Kind.HEAT}}
            | _cells(run, heat)
        )
    draw = {Kind.STEPS: _steps, Kind.SPANS: _spans, Kind.BARS: _bars, Kind.MARKS: _marks}
    for series in lane.series:
        if series.kind in draw:
            meta = {"lane": lane.name, "series": series.name, "kind": series.kind, "row": series.row, "unit": lane.unit}
            yield common | {"name": series.name, "meta": meta} | draw[series.kind](series)


def _steps(series: Series) -> dict[str, Any]:
    """A value holds from its start to its end; each unbroken run of values ends in a point of its own."""
    x: list[float] = []
    y: list[float | None] = []
    n: list[int | None] = []
    for p, after in zip(series.points, [*series.points[1:], None], strict=True):
        x.append(p.start_s)
        y.append(p.value)
        n.append(-1 if p.n is None else p.n)
        if p.value is not None and (after is None or after.value is None or after.start_s != p.end_s):
            x += [p.end_s, p.end_s]
            y += [p.value, None]
            n += [None, None]
    line = {"color": series.look.colour, "dash": series.look.dash, "shape": "hv", "width": 1.6}
    return {"type": "scatter", "mode": "lines", "x": x, "y": y, "customdata": n, "line": line, "showlegend": True}


def _rectangles(series: Series, heights: Sequence[float]) -> dict[str, Any]:
    points = series.points
    return {
        "type": "bar",
        "x": [round((p.start_s + p.end_s) / 2, 4) for p in points],
        "width": [round(p.end_s - p.start_s, 3) for p in points],
        "base": [series.row + (1 - BAR) / 2] * len(points),
        "y": [round(BAR * h, 4) for h in heights],
        "customdata": [[p.start_s, p.end_s, p.value, p.n, p.says] for p in points],
        "showlegend": False,
    }


def _spans(series: Series) -> dict[str, Any]:
    solid = not series.look.pattern
    return _rectangles(series, [1.0] * len(series.points)) | {
        "text": [p.says for p in series.points],
        "textposition": "none" if series.look.colour == PURPLE else "inside",
        "insidetextanchor": "start",
        "textangle": 0,
        "textfont": {"color": "@ink"},
        "marker": {
            "color": f"{series.look.colour}-wash",
            "line": {"color": series.look.colour, "width": 1},
            "pattern": {
                "shape": "" if solid else series.look.pattern,
                "fgcolor": series.look.colour,
                "fgopacity": 0.55,
                "size": 7,
                "solidity": 0.12,
            },
        },
    }


def _bars(series: Series) -> dict[str, Any]:
    return _rectangles(series, [p.value or 0.0 for p in series.points]) | {
        "marker": {"color": series.look.colour, "opacity": 0.75, "line": {"width": 0}}
    }


def _marks(series: Series) -> dict[str, Any]:
    return {
        "type": "scatter",
        "mode": "markers",
        "x": [p.start_s for p in series.points],
        "y": [series.row + 0.5] * len(series.points),
        "customdata": [[p.start_s, p.end_s, p.value, p.n, p.says] for p in series.points],
        "marker": {"color": series.look.colour, "symbol": series.look.symbol, "size": 8},
        "cliponaxis": False,
        "showlegend": False,
    }


def _cells(run: Run, heat: Sequence[Series]) -> dict[str, Any]:
    """Counts by range of latencies and bin of time; nothing where there is no request."""
    first, last = min(s.row for s in heat), max(s.row for s in heat)
    cells: list[list[float | None]] = [[None] * len(run.grid.bins) for _ in range(first, last + 1)]
    for series in heat:
        for p in series.points:
            cells[series.row - first][run.grid.at(p.start_s)] = p.value
    return {
        "type": "heatmap",
        "x": list(run.grid.edges),
        "y": [round(ends(row)[0], 6) for row in range(first, last + 2)],
        "z": cells,
        "zmin": 0,
        "zmax": max((s.peak for s in heat), default=1),
        "colorscale": [[0, "@heat0"], [0.25, "@heat1"], [1, "@heat2"]],
        "showscale": False,
        "hoverongaps": False,
    }
