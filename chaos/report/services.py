"""Lanes from faults and from the services' metrics: fault windows, breakers, attempts, pools and queues."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from typing import Final

from chaos.checkers.metrics import ATTEMPTS, BREAKER, BULKHEAD_IN_USE, CALLS, CONNECTIONS, IN_FLIGHT, POOL_IN_USE
from chaos.report.clients import share_of_decades
from chaos.report.lane import GREEN, LOOKS, ORANGE, PURPLE, VERMILLION, Kind, Lane, Look, Point, Series, nice, shown
from chaos.report.run import Run
from chaos.report.sampled import Sampled, Track, grown, largest

GAUGES: Final = (
    (POOL_IN_USE, "edge", "pool"),
    (BULKHEAD_IN_USE, "edge", "calls"),
    (IN_FLIGHT, "service", "in flight"),
    ("ingress_queued", "service", "queue"),
)
GAP_S: Final = 1.0
"""Samples of one state further apart than this are two stretches."""

STATES: Final[Mapping[int, tuple[str, Look]]] = {
    0: ("closed", Look(colour=GREEN)),
    1: ("half-open", Look(colour=ORANGE, pattern="/")),
    2: ("open", Look(colour=VERMILLION, pattern="x")),
}


@dataclass(frozen=True, slots=True)
class Stretch:
    """A breaker in one state from the first to the last sample that says so."""

    state: int
    start_s: float
    end_s: float


def faults(run: Run, sampled: Sampled) -> Lane:
    """A row for each edge: the windows, and in them the share of its calls that failed."""
    edges = broken_edges(run, sampled)
    series = [part for row, edge in enumerate(edges) for part in _fault_row(run, sampled, row, edge)]
    return Lane(
        name="faults",
        title="Faults",
        note=f"height: calls that failed, or how late a probe was answered (1 ms to 10 s, log); {run.grid}",
        series=tuple(series),
        unit="share",
        scale="rows",
        rows=tuple(edges),
        height=38 * max(1, len(edges)),
    )


def _fault_row(run: Run, sampled: Sampled, row: int, edge: str) -> Iterator[Series]:
    windows = tuple(
        Point(start_s=run.s(f.injected_ns), end_s=run.s(f.heal_sent_ns), value=1.0, says=f.fault)
        for f in run.history.faults
        if f.on == edge or fnmatchcase(edge, f.on)
    )
    if measured := tuple(_intensity(run, sampled, edge, windows)):
        yield Series(name=f"{edge}: measured", kind=Kind.BARS, look=Look(colour=VERMILLION), row=row, points=measured)
    yield Series(name=edge, kind=Kind.SPANS, look=Look(colour=PURPLE, pattern="/"), row=row, points=windows)


def breakers(run: Run, sampled: Sampled) -> Lane:
    """A ribbon for each breaker that moved or whose edge was broken; gaps in the samples stay gaps."""
    broken = broken_edges(run, sampled)
    found = {
        edge: tuple(stretches(tracks)) for edge, tracks in sampled.by(BREAKER, "edge").items() if any(map(len, tracks))
    }
    edges = sorted(e for e, parts in found.items() if e in broken or any(p.state for p in parts))
    still = len(found) - len(edges)
    series = [
        Series(
            name=f"{edge} {word}",
            kind=Kind.SPANS,
            look=look,
            row=row,
            points=tuple(
                Point(start_s=p.start_s, end_s=p.end_s, value=state, says=word) for p in found[edge] if p.state == state
            ),
        )
        for row, edge in enumerate(reversed(edges))
        for state, (word, look) in STATES.items()
    ]
    return Lane(
        name="breakers",
        title="Breakers",
        note="plain: closed, striped: half-open, crossed: open" + (f"; {still} others stayed closed" if still else ""),
        series=tuple(s for s in series if s.points),
        scale="rows",
        rows=tuple(reversed(edges)),
        height=26 * max(1, len(edges)),
    )


def attempts(run: Run, sampled: Sampled, clients: Lane) -> Lane:
    """The clients' lane, and for each edge the attempts for one call that was let through."""
    edges = [s for s in _amplification(run, sampled) if s.peak > 1]
    edges = sorted(edges, key=lambda s: -s.peak)[: len(LOOKS) - 1]
    named = tuple(replace(s, look=look) for s, look in zip(edges, LOOKS[1:], strict=False))
    series = (*clients.series, *named)
    return replace(
        clients,
        series=series,
        note=f"by clients, and on edges where it was above 1; {run.grid}",
        top=nice(max((s.peak for s in series), default=0) * 1.05, 2),
    )


def pools(run: Run, sampled: Sampled) -> Lane:
    """Connections, calls and requests that were held or waiting: the largest number seen in each bin."""
    series = []
    for metric, label, words in GAUGES:
        for name, tracks in sorted(sampled.by(metric, label).items()):
            points = tuple(
                Point(start_s=start, end_s=end, value=value)
                for (start, end), value in zip(run.grid.bins, largest(tracks, run.grid), strict=True)
            )
            series.append(Series(name=f"{words} {name}", points=points))
    busy = sorted((s for s in series if s.peak > 0), key=lambda s: -s.peak)
    shown_ones = tuple(replace(s, look=look) for s, look in zip(busy, LOOKS, strict=False))
    hidden, idle = len(busy) - len(shown_ones), len(series) - len(busy)
    more = (f"; {hidden} smaller not shown" if hidden else "") + (f"; {idle} idle" if idle else "")
    return Lane(
        name="pools",
        title="Pools and queues",
        note=f"largest sampled in {run.grid}{more}",
        series=shown_ones or tuple(replace(s, look=LOOKS[0]) for s in series[:1]),
        top=nice(max((s.peak for s in busy), default=0) * 1.05, 5),
        height=100,
    )


def broken_edges(run: Run, sampled: Sampled) -> list[str]:
    """The edges that faults were injected on, by name; the globs themselves where no edge is known."""
    known = set(sampled.by(CONNECTIONS, "edge")) | set(sampled.by(CALLS, "edge"))
    globs = dict.fromkeys(f.on for f in run.history.faults)
    return sorted({edge for glob in globs for edge in ([e for e in known if fnmatchcase(e, glob)] or [glob])})


def stretches(tracks: list[Track]) -> Iterator[Stretch]:
    """Stretches of equal states, each until the next sample; the most open of several breakers counts."""
    states: dict[float, int] = {}
    for track in tracks:
        for at_s, value in track:
            states[at_s] = max(states.get(at_s, 0), int(value))
    current: Stretch | None = None
    for at_s, state in sorted(states.items()):
        if current and at_s - current.end_s < GAP_S:
            current = replace(current, end_s=at_s)
            if current.state == state:
                continue
        if current and current.end_s > current.start_s:
            yield current
        current = Stretch(state, at_s, at_s)
    if current and current.end_s > current.start_s:
        yield current


def _intensity(run: Run, sampled: Sampled, edge: str, windows: Sequence[Point]) -> Iterator[Point]:
    """What was measured of the faults in their *windows*: failed calls and a late probe, the higher one first.

    The share of the edge's calls that ended in error or time-out, where it was called; and how much
    later than past the proxy the probe was answered that saw the fault bite, as high as on the axis
    of latencies.
    """
    outcomes = {
        outcome: grown(_on(sampled, CALLS, edge, outcome=outcome), run.grid) for outcome in ("ok", "error", "timeout")
    }
    late = _late(run, edge)
    for number, (start, end) in enumerate(run.grid.bins):
        if not any(w.start_s < end and start < w.end_s for w in windows):
            continue
        ok, error, timeout = (outcomes[o][number] or 0.0 for o in ("ok", "error", "timeout"))
        asked, failed = int(ok + error + timeout), error + timeout
        late_ms = max((p.value or 0.0 for p in late if p.start_s < end and start < p.end_s), default=None)
        seen = [(failed / asked, f"{100 * failed / asked:.3g} % failed n {asked}")] if asked else []
        seen += [(share_of_decades(late_ms), f"probe {late_ms:.0f} ms late")] if late_ms is not None else []
        if seen := sorted(seen, reverse=True):
            says = ", ".join(words for _, words in seen)
            yield Point(start_s=start, end_s=end, value=shown(seen[0][0]), n=asked, says=says)


def _late(run: Run, edge: str) -> list[Point]:
    """The windows in which a probe of *edge* was timed, and by how many milliseconds it was late."""
    by_window = {b.sent_ns: b.late_ms for b in run.result.bites if b.on == edge and b.held and b.late_ms is not None}
    return [
        Point(start_s=run.s(f.injected_ns), end_s=run.s(f.heal_sent_ns), value=by_window[f.sent_ns])
        for f in run.history.faults
        if f.sent_ns in by_window
    ]


def _on(sampled: Sampled, metric: str, edge: str, **wanted: str) -> list[Track]:
    """The tracks of the edge and of what lies below its name, such as a second pool."""
    groups = sampled.by(metric, "edge", **wanted)
    return [track for name, tracks in groups.items() if name == edge or name.startswith(f"{edge}.") for track in tracks]


def _amplification(run: Run, sampled: Sampled) -> Iterator[Series]:
    for edge, tracks in sorted(sampled.by(ATTEMPTS, "edge").items()):
        sent = grown(tracks, run.grid)
        calls = [
            grown(found.get(edge, ()), run.grid)
            for found in (sampled.by(CALLS, "edge", outcome=o) for o in ("ok", "error", "timeout"))
        ]
        points = []
        for (start, end), attempts_, *parts in zip(run.grid.bins, sent, *calls, strict=True):
            asked = sum(part or 0.0 for part in parts)
            value = shown(attempts_ / asked) if asked and attempts_ is not None else None
            points.append(Point(start_s=start, end_s=end, value=value, n=int(asked)))
        yield Series(name=edge, points=tuple(points))
