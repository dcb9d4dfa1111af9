"""One scenario on one time axis: stacked lanes from faults to breakers."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from itertools import groupby
from typing import Final

import plotly.graph_objects as go
from plotly.subplots import make_subplots

from chaos.checkers.moments import BREAKER, series
from chaos.clock import NS_PER_MS, NS_PER_S
from chaos.history import History, Operation, Outcome

BIN_S: Final = 0.25
POINTS_MAX: Final = 4000

# Okabe and Ito's palette: told apart with every kind of colour vision. Never colour alone: symbols
# and words carry the same.
OUTCOMES: Final[Mapping[Outcome, tuple[str, str, str]]] = {
    Outcome.OK: ("#0072B2", "circle", "ok"),
    Outcome.FAIL: ("#E69F00", "diamond", "refused"),
    Outcome.INFO: ("#D55E00", "x", "failed or unknown"),
}
STATES: Final[Mapping[int, tuple[str, str]]] = {
    0: ("#009E73", "closed"),
    1: ("#F0E442", "half-open"),
    2: ("#D55E00", "open"),
}
FAULT_COLOUR: Final = "#CC79A7"
_EDGE: Final = re.compile(r'edge="([^"]+)"')


def figure(history: History) -> go.Figure:
    """The lanes of *history* under one shared axis of seconds since its start."""
    edges = breaker_edges(history)
    titles = ["Faults", "Requests per second", "Latency (ms, log)", *(["Breakers"] if edges else [])]
    heights = [0.12, 0.26, 0.38, 0.24][: len(titles)]
    lanes = make_subplots(
        rows=len(titles), cols=1, shared_xaxes=True, vertical_spacing=0.05, row_heights=heights, subplot_titles=titles
    )
    _faults(lanes, history)
    _rates(lanes, history)
    _latencies(lanes, history)
    if edges:
        _breakers(lanes, history, edges)
    for fault in history.faults:
        lanes.add_vrect(
            x0=_s(history, fault.injected_ns),
            x1=_s(history, fault.heal_sent_ns),
            fillcolor=FAULT_COLOUR,
            opacity=0.12,
            line_width=0,
            layer="below",
        )
    lanes.update_xaxes(title_text="seconds since the start", row=len(titles), col=1)
    lanes.update_xaxes(range=[0, _s(history, history.end_ns) + 0.5])
    lanes.update_layout(
        height=190 * len(titles),
        margin={"l": 60, "r": 20, "t": 40, "b": 40},
        hovermode="x unified",
        barmode="stack",
        template="plotly_white",
        legend={"orientation": "h", "y": 1.08},
        font={"family": "system-ui, sans-serif"},
    )
    return lanes


def breaker_edges(history: History) -> list[str]:
    """Edges whose breaker is in the series and left its closed state, by name."""
    moved = {
        found[1]
        for sample in history.samples
        for key, value in sample.values.items()
        if key.startswith(BREAKER + "{") and value and (found := _EDGE.search(key))
    }
    return sorted(moved)


def _s(history: History, time_ns: int) -> float:
    return round((time_ns - history.start_ns) / NS_PER_S, 3)


def _faults(lanes: go.Figure, history: History) -> None:
    for fault in history.faults:
        start, end = _s(history, fault.injected_ns), _s(history, fault.heal_sent_ns)
        lanes.add_bar(
            x=[end - start],
            y=[fault.on],
            base=[start],
            orientation="h",
            marker_color=FAULT_COLOUR,
            showlegend=False,
            text=fault.fault,
            textposition="inside",
            hovertext=f"{fault.fault} on {fault.on}, {start} to {end} s",
            hoverinfo="text",
            row=1,
            col=1,
        )


def _rates(lanes: go.Figure, history: History) -> None:
    """Requests per second by outcome, counted at the moment they were sent."""
    for outcome, (colour, _, name) in OUTCOMES.items():
        bins = _counted(history, (o for o in history.operations if o.outcome is outcome))
        if bins:
            lanes.add_bar(
                x=[b + BIN_S / 2 for b in bins],
                y=[n / BIN_S for n in bins.values()],
                width=BIN_S,
                name=name,
                marker_color=colour,
                legendgroup=outcome,
                row=2,
                col=1,
            )


def _counted(history: History, operations: Iterable[Operation]) -> dict[float, int]:
    bins = sorted(int(_s(history, o.start_ns) / BIN_S) for o in operations)
    return {number * BIN_S: sum(1 for _ in group) for number, group in groupby(bins)}


def _latencies(lanes: go.Figure, history: History) -> None:
    for outcome, (colour, symbol, name) in OUTCOMES.items():
        shown = [o for o in history.operations if o.outcome is outcome][:POINTS_MAX]
        lanes.add_scattergl(
            x=[_s(history, o.start_ns) for o in shown],
            y=[max(o.latency_ns / NS_PER_MS, 0.1) for o in shown],
            mode="markers",
            name=name,
            legendgroup=outcome,
            showlegend=False,
            marker={"color": colour, "symbol": symbol, "size": 5, "opacity": 0.7},
            text=[f"{o.operation} {o.status or o.error}" for o in shown],
            row=3,
            col=1,
        )
    lanes.update_yaxes(type="log", row=3, col=1)


def _breakers(lanes: go.Figure, history: History, edges: Iterable[str]) -> None:
    """A ribbon for each breaker: closed, half-open, open; gaps in the samples stay gaps."""
    named: set[int] = set()
    for edge in edges:
        for state, start, end in _stretches(history, edge):
            colour, name = STATES.get(state, STATES[0])
            lanes.add_bar(
                x=[end - start],
                y=[edge],
                base=[start],
                orientation="h",
                marker_color=colour,
                name=f"breaker {name}",
                legendgroup=f"state{state}",
                showlegend=state not in named,
                hovertext=f"{edge} {name}",
                hoverinfo="text",
                row=4,
                col=1,
            )
            named.add(state)


def _stretches(history: History, edge: str) -> list[tuple[int, float, float]]:
    """State, start and end of each stretch of equal samples."""
    stretches: list[tuple[int, float, float]] = []
    for time_ns, value in series(history, BREAKER, edge):
        at, state = _s(history, time_ns), int(value)
        if stretches and at - stretches[-1][2] < 1:
            last_state, start, _ = stretches.pop()
            stretches.append((last_state, start, at))
            if last_state == state:
                continue
        stretches.append((state, at, at))
    return stretches
