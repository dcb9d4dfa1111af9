"""Lanes say what was measured: bins are honest, gaps stay gaps, percentiles need a hundred requests."""

import csv
import io
import json
from dataclasses import replace
from itertools import pairwise

import plotly.graph_objects as go
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chaos.history import History, Outcome
from chaos.report import clients, services
from chaos.report.bins import BINS_MAX, Grid, enough
from chaos.report.figure import figure, places
from chaos.report.lane import Kind, Lane, Point, Series, nice
from chaos.report.page import Chapter, lanes
from chaos.report.run import Happening, Run
from chaos.report.sampled import Sampled
from chaos.results.model import Bite, Result, Verdict
from tests.support import long_run
from tests.support.histories import fault, history, op, samples

RESULT = Result(id="T-1", title="t", hypothesis="h", verdict=Verdict.HELD, says="s", steady_share=0.99)


def run_of(recorded: History) -> Run:
    """*recorded* as a run."""
    return Run.of(RESULT, recorded)


def series(lane: Lane, name: str) -> Series:
    """The series of that name."""
    return next(s for s in lane.series if s.name == name)


def at(points: Series, at_s: float) -> Point:
    """The point that holds at a moment."""
    return next(p for p in points.points if p.start_s <= at_s < p.end_s)


@given(st.floats(0, 1e6))
def test_bins_cover_the_run_without_gap_or_overlap(length_s: float) -> None:
    """However long it is, at most 600 bins of at least half their width reach from start to end."""
    grid = Grid.over(length_s)
    assert grid.edges[0] == 0
    assert len(grid.bins) <= BINS_MAX
    assert list(grid.edges) == sorted(set(grid.edges))
    assert all(end - start >= grid.width_s / 2 - 1e-3 for start, end in grid.bins)


@given(st.lists(st.floats(0, 100), max_size=600), st.floats(0.1, 10))
def test_bins_for_percentiles_hold_a_hundred_requests_or_the_whole_phase(moments: list[float], least_s: float) -> None:
    """A phase is cut without gaps, and only where every piece keeps enough."""
    moments.sort()
    bins = enough(moments, 0, 100, least_s)
    assert bins[0][0] == 0
    assert bins[-1][1] == 100
    assert all(after[0] == before[1] for before, after in pairwise(bins))
    if len(bins) > 1:
        counts = [sum(start <= m < end or (end == 100 and m == 100) for m in moments) for start, end in bins]
        assert min(counts) >= 100


def test_a_percentile_needs_a_hundred_requests() -> None:
    """99 requests show no percentile, 100 do, and n stands beside it."""
    for count, value in ((99, None), (100, 5.0)):
        lane = clients.latency(run_of(history([op(i / 50, took_ms=5) for i in range(count)])))[0]
        found = at(series(lane, "p99"), 1)
        assert (found.value, found.n) == (value, count)


def test_percentiles_do_not_cross_from_one_phase_into_the_next() -> None:
    """Slow requests of the fault do not colour the baseline."""
    slow = [op(i / 100, took_ms=500 if 300 <= i < 600 else 5) for i in range(1000)]
    lane = clients.latency(run_of(history(slow, faults=[fault(3, 6)])))[0]
    assert {p.value for p in series(lane, "p50").points if p.end_s <= 3} == {5.0}
    assert at(series(lane, "p50"), 4).value == 500


def test_every_request_is_in_one_cell_of_the_heat_map() -> None:
    """Also those faster or slower than the axis."""
    lane = clients.latency(run_of(history([op(1, took_ms=0.01), op(2, took_ms=60_000), op(3, took_ms=30)])))[0]
    cells = {s.name: sum(p.value or 0 for p in s.points) for s in lane.series if s.kind is Kind.HEAT}
    assert cells == {"under 1.33 ms": 1, "23.7 to 31.6 ms": 1, "over 7499 ms": 1}


def test_success_leaves_a_gap_where_nothing_was_sent() -> None:
    """No request is not the same as no success."""
    lane = clients.success(run_of(history([op(1), op(5, outcome=Outcome.INFO), op(9)])))
    read = series(lane, "read")
    assert at(read, 1).value == 1
    assert at(read, 3).value is None
    assert at(read, 5).value == 0
    assert lane.limit == (0.99, "SLO 99.0%")


def test_rates_tell_offered_from_sent_and_answered() -> None:
    """A request that left late and was answered later counts in three bins."""
    late = replace(op(1.0), start_ns=op(2.0).start_ns, answered_ns=op(3.0).start_ns)
    lane = clients.rates(run_of(history([late])))
    places_ = {s.name: next(p.start_s for p in s.points if p.value) for s in lane.series}
    assert places_ == {"offered": 1.0, "sent": 2.0, "answered": 3.0}


def test_breaker_ribbons_keep_gaps_in_the_samples() -> None:
    """Without samples for more than a second nobody knows the state."""
    states = {0.0: 0, 0.1: 0, 0.2: 2, 0.3: 2, 5.0: 2, 5.1: 2}
    recorded = history(sampled=samples("resilience_breaker_state", states), faults=[fault(0.1, 4)])
    run = run_of(recorded)
    lane = services.breakers(run, Sampled.of(run))
    opened = next(s for s in lane.series if s.name == "a.b open")
    assert [(p.start_s, p.end_s) for p in opened.points] == [(0.2, 0.3), (5.0, 5.1)]


def test_the_fault_lane_shows_the_measured_share_of_failed_calls() -> None:
    """Height is what was measured, in words at the cursor; where the edge was not called there is no bar."""
    counted = [
        *samples("resilience_calls_total", {1.9: 10, 2.2: 11, 2.4: 11, 9.0: 11}, outcome="ok"),
        *samples("resilience_calls_total", {1.9: 0, 2.2: 3, 2.4: 3, 9.0: 3}, outcome="error"),
    ]
    run = run_of(history(faults=[fault(2, 4)], sampled=counted))
    lane = services.faults(run, Sampled.of(run))
    (bar,) = series(lane, "a.b: measured").points
    assert (bar.start_s, bar.value, bar.n, bar.says) == (2.0, 0.75, 4, "75 % failed n 4")
    assert series(lane, "a.b").points[0].says == "Down()"


def test_pure_latency_is_as_high_as_its_probe_was_late() -> None:
    """Calls that only grow slow do not fail: the bite says how slow, for its own window and nobody else's."""
    slow, other = fault(2, 3), fault(5, 6)
    bite = Bite(on="a.b", expected="e", measured="m", held=True, late_ms=100.0, sent_ns=slow.sent_ns)
    unproved = replace(bite, held=False, sent_ns=other.sent_ns)
    counted = samples("resilience_calls_total", {1.9: 0, 2.2: 4, 2.4: 4, 9.0: 4}, outcome="ok")
    run = Run.of(replace(RESULT, bites=(bite, unproved)), history(faults=[slow, other], sampled=counted))
    bars = series(services.faults(run, Sampled.of(run)), "a.b: measured").points
    assert [(b.start_s, b.value) for b in bars] == [(2.0, 0.5), (2.25, 0.5), (2.5, 0.5), (2.75, 0.5)]
    assert [b.says for b in bars[:2]] == ["probe 100 ms late, 0 % failed n 4", "probe 100 ms late"]


def test_a_counter_that_begins_anew_is_a_gap() -> None:
    """A service that was restarted did not make a negative number of calls."""
    run = run_of(
        history(
            sampled=[
                *samples("resilience_attempts_total", {0.1: 50, 1.1: 60, 2.1: 2, 3.1: 8}),
                *samples("resilience_calls_total", {0.1: 50, 1.1: 55, 2.1: 1, 3.1: 4}, outcome="ok"),
            ]
        )
    )
    lane = services.attempts(run, Sampled.of(run), clients.attempts(run))
    assert [p.value for p in series(lane, "a.b").points if p.value is not None] == [2.0, 2.0]


def test_the_phases_are_baseline_fault_and_recovery() -> None:
    """Overlapping faults are one, and each healing begins a recovery."""
    run = run_of(history([op(9)], faults=[fault(2, 4), fault(3, 5), fault(7, 8)]))
    assert [(p.name, p.start_s, p.end_s) for p in run.phases()] == [
        ("baseline", 0.0, 2.0),
        ("fault", 2.0, 5.0),
        ("recovery", 5.0, 7.0),
        ("fault", 7.0, 8.0),
        ("recovery", 8.0, 10.0),
    ]


def test_a_lane_without_data_says_so() -> None:
    """An empty history draws every lane, and each says that nothing was measured."""
    run = run_of(history())
    drawn = figure(run, lanes(run, Sampled.of(run)))
    words = [a["text"] for a in drawn["layout"]["annotations"]]
    assert drawn["data"] == []
    assert sum("not measured" in text for text in words) == len(lanes(run, Sampled.of(run)))


def test_the_csv_of_a_lane_holds_its_points() -> None:
    """Read back it is the same; a gap is an empty field."""
    points = (Point(start_s=0, end_s=1, value=0.5, n=3), Point(start_s=1, end_s=2, value=None, says='a "b", c'))
    text = Lane(name="l", title="t", series=(Series(name="s", points=points),)).csv()
    assert list(csv.DictReader(io.StringIO(text))) == [
        {"series": "s", "start_s": "0", "end_s": "1", "value": "0.5", "n": "3", "says": ""},
        {"series": "s", "start_s": "1", "end_s": "2", "value": "", "n": "", "says": 'a "b", c'},
    ]


@pytest.mark.parametrize(("value", "end"), [(0, 1), (1, 1), (1.1, 2), (3, 5), (52, 100), (900, 1000)])
def test_axes_end_at_one_two_or_five(value: float, end: float) -> None:
    """So that two runs that differ a little have the same axis."""
    assert nice(value) == end


def test_the_whole_figure_follows_plotlys_schema() -> None:
    """Plotly accepts every trace and the layout of a long run, and no two lanes overlap."""
    run = long_run.run()
    chapter = Chapter(run.result, run)
    text = json.dumps(figure(run, chapter.lanes))
    for name in sorted({word for word in text.split('"') if word.startswith("@")}, key=len, reverse=True):
        text = text.replace(f'"{name}"', '"#123456"')
    assert len(go.Figure(json.loads(text)).data) > 20
    tops = [place.top for place in places(chapter.lanes)]
    assert tops == sorted(tops)


def test_events_show_what_happened_and_what_breakers_did() -> None:
    """Phases, faults, notes and changes of breakers, each in its row."""
    run = Run.of(
        RESULT,
        history(sampled=samples("resilience_breaker_state", {1.0: 0, 1.1: 0, 1.2: 2, 1.3: 2})),
        [Happening(at_s=0.5, kind="note", says="saw it"), Happening(at_s=1.0, kind="inject", says="inject Down()")],
    )
    lane = next(lane for lane in lanes(run, Sampled.of(run)) if lane.name == "events")
    assert {s.name: [(p.start_s, p.says) for p in s.points] for s in lane.series} == {
        "note": [(0.5, "saw it")],
        "fault": [(1.0, "inject Down()")],
        "breaker": [(1.2, "a.b open")],
    }
