"""Lanes from what the clients saw: rates, success, latency, attempts, cache."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from math import floor, log10
from typing import Final
from urllib.parse import quote

from chaos.checkers.finding import PERCENTILE_MIN, percentile
from chaos.clock import NS_PER_MS
from chaos.history import Operation, Outcome
from chaos.report.bins import enough
from chaos.report.lane import BLUE, INK, LOOKS, ORANGE, VERMILLION, Kind, Lane, Look, Point, Series, nice, shown
from chaos.report.run import Run

OPERATIONS_MAX: Final = 4
"""Latency lanes; the rarer operations are counted in the note."""

DECADES: Final = (0, 4)
"""The latency axis in powers of ten of a millisecond: 1 ms to 10 s, the same for every run."""
PER_DECADE: Final = 8
LAST_ROW: Final = (DECADES[1] - DECADES[0]) * PER_DECADE - 1

PERCENTS: Final = (
    (99, Look(colour=VERMILLION, dash="dot")),
    (95, Look(colour=ORANGE, dash="dash")),
    (50, Look(colour=INK)),
)
SOURCES: Final = (
    ("hit", Look(colour=BLUE)),
    ("miss", Look(colour=ORANGE, dash="dash")),
    ("stale", Look(colour=VERMILLION, dash="dot")),
)


def rates(run: Run) -> Lane:
    """What the schedule wanted sent, what was sent and what was answered, per second."""
    operations = run.history.operations
    answered = [o.answered_ns for o in operations if o.status is not None]
    counted = {
        "offered": (Look(colour=INK, dash="dot"), [o.intended_ns for o in operations]),
        "sent": (Look(colour=BLUE), [o.start_ns for o in operations]),
        "answered": (Look(colour=ORANGE, dash="dash"), answered),
    }
    series = tuple(
        Series(name=name, look=look, points=_per_second(run, times)) for name, (look, times) in counted.items()
    )
    return Lane(
        name="rate",
        title="Requests per second",
        note=f"offered by the schedule, sent, answered; {run.grid}",
        series=series if operations else (),
        unit="/s",
        top=nice(max((s.peak for s in series), default=0) * 1.05, 10),
    )


def success(run: Run) -> Lane:
    """The share of each operation that was ok, by the time it was sent, and the SLO."""
    share = run.result.steady_share
    return Lane(
        name="success",
        title="Success",
        note=f"share that was ok, by the moment of sending; {run.grid}",
        series=tuple(
            Series(name=name, look=look, points=tuple(_shares(run, operations)))
            for (name, operations), look in zip(_by_operation(run.history.operations), LOOKS, strict=False)
        ),
        unit="share",
        top=1.06,
        limit=None if share is None else (share, f"SLO {share:.1%}"),
    )


def latency(run: Run) -> list[Lane]:
    """One lane for each operation: how many took how long, and percentiles where there are enough."""
    operations = _by_operation(run.history.operations)
    shown_ones = sorted(operations, key=lambda item: -len(item[1]))[:OPERATIONS_MAX]
    left_out = len(operations) - len(shown_ones)
    more = f"; {left_out} rarer operations are not shown" if left_out else ""
    return [_latency(run, name, found, more) for name, found in operations if (name, found) in shown_ones] or [
        Lane(name="latency", title="Latency")
    ]


def attempts(run: Run) -> Lane:
    """Requests that the clients sent for each operation."""
    sent, asked = [0] * len(run.grid.bins), [0] * len(run.grid.bins)
    for o in run.history.operations:
        number = run.grid.at(run.s(o.start_ns))
        sent[number] += o.attempts
        asked[number] += 1
    points = tuple(
        Point(start_s=start, end_s=end, value=shown(s / n) if n else None, n=n)
        for (start, end), s, n in zip(run.grid.bins, sent, asked, strict=True)
    )
    return Lane(
        name="attempts",
        title="Attempts per request",
        series=(Series(name="clients", points=points, look=LOOKS[0]),) if run.history.operations else (),
    )


def cache(run: Run) -> Lane:
    """Answers per second by where they came from, as the answers themselves say."""
    times: defaultdict[str, list[int]] = defaultdict(list)
    for o in run.history.operations:
        if o.source:
            times[o.source].append(o.answered_ns)
    known = dict(SOURCES)
    order = [*known, *sorted(times.keys() - known)]
    series = tuple(
        Series(name=source, look=known.get(source, Look()), points=_per_second(run, times.get(source, ())))
        for source in order
        if source in known or source in times
    )
    return Lane(
        name="cache",
        title="Cache",
        note=f"answers per second by source, as they say; {run.grid}",
        series=series if times else (),
        unit="/s",
        top=nice(max((s.peak for s in series), default=0) * 1.05, 5),
    )


def _by_operation(operations: Iterable[Operation]) -> list[tuple[str, list[Operation]]]:
    groups: defaultdict[str, list[Operation]] = defaultdict(list)
    for o in operations:
        groups[o.operation].append(o)
    return sorted(groups.items())


def _per_second(run: Run, times_ns: Iterable[int]) -> tuple[Point, ...]:
    counts = run.grid.count(run.s(t) for t in times_ns)
    return tuple(
        Point(start_s=start, end_s=end, value=shown(n / (end - start)), n=n)
        for (start, end), n in zip(run.grid.bins, counts, strict=True)
    )


def _shares(run: Run, operations: Sequence[Operation]) -> Iterator[Point]:
    """The share of *operations* that were ok in each bin; a gap where none was sent."""
    sent = run.grid.count(run.s(o.start_ns) for o in operations)
    held = run.grid.count(run.s(o.start_ns) for o in operations if o.outcome is Outcome.OK)
    for (start, end), n, good in zip(run.grid.bins, sent, held, strict=True):
        yield Point(start_s=start, end_s=end, value=shown(good / n) if n else None, n=n)


def _latency(run: Run, name: str, operations: list[Operation], more: str) -> Lane:
    return Lane(
        name=f"latency-{quote(name, safe='')}",
        title=f"Latency of {name}",
        note=f"log; requests in {run.grid}; percentiles of {PERCENTILE_MIN} or more each{more}",
        series=(*_percentiles(run, operations), *_cells(run, operations)),
        unit="ms",
        scale="log",
        top=10.0 ** DECADES[1],
        height=132,
    )


def _percentiles(run: Run, operations: list[Operation]) -> Iterator[Series]:
    """Percentiles in bins that do not cross from one phase into the next."""
    ordered = sorted(operations, key=lambda o: o.start_ns)
    moments = [run.s(o.start_ns) for o in ordered]
    bins = [
        piece
        for phase in run.phases()
        for piece in enough(_inside(moments, phase.start_s, phase.end_s), phase.start_s, phase.end_s, run.grid.width_s)
    ]
    inside = [
        [o.latency_ns / NS_PER_MS for o in ordered[bisect_left(moments, start) : bisect_left(moments, end)]]
        for start, end in bins[:-1]
    ]
    inside += [[o.latency_ns / NS_PER_MS for o in ordered[bisect_left(moments, start) :]] for start, _ in bins[-1:]]
    for percent, look in PERCENTS:
        yield Series(
            name=f"p{percent}",
            look=look,
            points=tuple(
                _percentile(start, end, latencies, percent)
                for (start, end), latencies in zip(bins, inside, strict=True)
            ),
        )


def _inside(moments: Sequence[float], start_s: float, end_s: float) -> Sequence[float]:
    return moments[bisect_left(moments, start_s) : bisect_right(moments, end_s)]


def _percentile(start_s: float, end_s: float, latencies: Sequence[float], percent: float) -> Point:
    enough_ = len(latencies) >= PERCENTILE_MIN
    value = shown(percentile(latencies, percent)[1]) if enough_ else None
    return Point(start_s=start_s, end_s=end_s, value=value, n=len(latencies))


def _cells(run: Run, operations: Iterable[Operation]) -> Iterator[Series]:
    """One series for each range of latencies, with the number of requests in each bin that has any."""
    counts = Counter((_range(o.latency_ns / NS_PER_MS), run.grid.at(run.s(o.start_ns))) for o in operations)
    bins = run.grid.bins
    for row in sorted({row for row, _ in counts}):
        numbers = sorted(number for found, number in counts if found == row)
        yield Series(
            name=_named(row),
            kind=Kind.HEAT,
            row=row,
            points=tuple(
                Point(start_s=bins[i][0], end_s=bins[i][1], value=counts[row, i], n=counts[row, i]) for i in numbers
            ),
        )


def _named(row: int) -> str:
    """A range of latencies in words; the first and the last have no other end."""
    low, high = ends(row)
    if row == 0:
        return f"under {high:.3g} ms"
    return f"over {low:.0f} ms" if row == LAST_ROW else f"{low:.3g} to {high:.3g} ms"


def _range(latency_ms: float) -> int:
    """The number of the range of latencies; those below or above the axis count in its first or last."""
    if latency_ms <= 0:
        return 0
    return min(max(floor((log10(latency_ms) - DECADES[0]) * PER_DECADE), 0), LAST_ROW)


def ends(row: int) -> tuple[float, float]:
    """Where a range of latencies begins and ends, in milliseconds."""
    return 10 ** (DECADES[0] + row / PER_DECADE), 10 ** (DECADES[0] + (row + 1) / PER_DECADE)


def share_of_decades(latency_ms: float) -> float:
    """How high *latency_ms* stands on the axis of latencies, of the whole height."""
    low, high = DECADES
    return min((log10(max(latency_ms, 10.0**low)) - low) / (high - low), 1.0)
