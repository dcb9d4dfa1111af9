"""Each checker holds on what it allows, refutes what it forbids, and never judges what was not there."""

from dataclasses import replace

import pytest

from chaos.checkers.breakers import (
    BreakerOpens,
    Crosses,
    FailuresUntilOpen,
    ProbesOnly,
    TimeoutsPerOpening,
    WorkersReturn,
)
from chaos.checkers.clients import Answers, Faster, Recovers, Succeeds, Unreachable
from chaos.checkers.finding import Checker, percentile
from chaos.checkers.ledger import Ledger
from chaos.checkers.moments import AtTheEnd, BeforeFaults, DuringFaults, Throughout, WhileOpen
from chaos.checkers.run_itself import KeptSchedule, SteadyAfter, SteadyBefore
from chaos.history import HICCUP, Sample
from chaos.results.model import Verdict, worst
from tests.support.histories import fault, history, ns, op, samples

HELD, REFUTED, INVALID, INCONCLUSIVE = Verdict.HELD, Verdict.REFUTED, Verdict.INVALID, Verdict.INCONCLUSIVE

EVERY_CHECKER = [
    Succeeds(operation="read", at_least=0.9),
    Faster(operation="read", below_ms=100),
    Answers(operation="read", statuses={200}),
    Unreachable(operation="read"),
    Recovers(operation="read", within_s=1),
    BreakerOpens(edge="a.b", within_s=1),
    FailuresUntilOpen(edge="a.b", at_most=5),
    ProbesOnly(edge="a.b"),
    TimeoutsPerOpening(edge="a.b", at_most=5),
    WorkersReturn(edge="a.b", within_s=0.5, at_most=1),
    Crosses(edge="a.b"),
    Ledger(operation="read"),
    KeptSchedule(),
    SteadyBefore(operation="read", share=0.9),
    SteadyAfter(operation="read", share=0.9),
]


@pytest.mark.parametrize("checker", EVERY_CHECKER, ids=lambda c: type(c).__name__)
def test_nothing_exercised_is_never_held(checker: Checker) -> None:
    """An empty history is INVALID to every checker."""
    assert checker(history()).verdict is INVALID


def test_the_worst_verdict_wins_and_none_is_invalid() -> None:
    """A weakness outweighs an invalid check, which outweighs one that could not tell."""
    assert worst([HELD, INCONCLUSIVE, INVALID, REFUTED]) is REFUTED
    assert worst([HELD, INCONCLUSIVE, INVALID]) is INVALID
    assert worst([HELD, INCONCLUSIVE]) is INCONCLUSIVE
    assert worst([]) is INVALID


def test_no_percentile_is_claimed_for_few_samples() -> None:
    """Below 100 samples the slowest is given instead."""
    assert percentile([1, 2, 3], 99) == ("slowest", 3)
    assert percentile(range(1, 101), 99) == ("p99", 99)
    assert percentile(range(1, 101), 100) == ("p100", 100)
    assert percentile([], 99) == ("slowest", 0.0)


@pytest.mark.parametrize(("failing", "verdict"), [(1, HELD), (2, REFUTED)])
def test_success_share_is_judged_at_its_bound(failing: int, verdict: Verdict) -> None:
    """Nine of ten satisfy 90 %, eight do not."""
    operations = [op(i, status=503 if i < failing else 200) for i in range(10)]
    finding = Succeeds(operation="read", at_least=0.9)(history(operations))
    assert finding.verdict is verdict
    assert finding.checked == 10
    assert len(finding.witness) == (2 if verdict is REFUTED else 0)


def test_latency_counts_from_the_intended_moment() -> None:
    """A request that left late because the platform stalled is slow, not late."""
    waited = replace(op(1, took_ms=5), intended_ns=ns(0.5))
    assert Faster(operation="read", below_ms=100)(history([waited])).verdict is REFUTED
    assert Faster(operation="read", below_ms=100)(history([op(1, took_ms=5)])).verdict is HELD


def test_time_in_which_the_lab_stood_still_is_not_the_platforms() -> None:
    """Only the part of a latency that falls into a hiccup is taken off."""
    hiccup = [Sample(time_ns=ns(1.02), service="lab", values={HICCUP: 60})]
    check = Faster(operation="read", below_ms=50)
    assert check(history([op(1, took_ms=100)], sampled=hiccup)).measured["latency_ms"] == pytest.approx(40)
    assert check(history([op(2, took_ms=100)], sampled=hiccup)).verdict is REFUTED


def test_a_503_must_say_when_to_come_back() -> None:
    """Retry-After is part of the answer that is expected."""
    check = Answers(operation="read", statuses={503})
    assert check(history([op(1, status=503, retry_after=True)])).verdict is HELD
    assert check(history([op(1, status=503)])).verdict is REFUTED
    assert check(history([op(1, status=500)])).verdict is REFUTED


def test_a_fresh_answer_over_a_cut_edge_is_a_bypass() -> None:
    """A stale answer is a fallback; a fresh one means that the traffic is not behind the proxy."""
    check = Unreachable(operation="read")
    cut = [fault(1, 5)]
    assert check(history([op(2, source="stale"), op(3, status=503)], faults=cut)).verdict is HELD
    assert check(history([op(2, source="miss")], faults=cut)).verdict is REFUTED


def test_what_is_under_way_when_healing_begins_may_get_through() -> None:
    """It was sent while the edge was cut, and answered after that: no bypass."""
    check = Unreachable(operation="read")
    under_way = op(4.99, took_ms=20, source="miss")
    assert check(history([op(2, status=503), under_way], faults=[fault(1, 5)])).verdict is HELD
    assert check(history([under_way], faults=[fault(1, 6)])).verdict is REFUTED


def test_recovery_counts_from_healing_to_the_first_success() -> None:
    """The slowest of several faults decides, and one that was never recovered from."""
    check = Recovers(operation="read", within_s=1)
    assert check(history([op(5.5)], faults=[fault(1, 5)])).verdict is HELD
    assert check(history([op(5.5, status=503), op(6.5)], faults=[fault(1, 5)])).verdict is REFUTED
    assert check(history([op(5.5)], faults=[fault(1, 5), fault(6, 7)])).verdict is REFUTED


@pytest.mark.parametrize(("end_s", "verdict"), [(6, INVALID), (6.99, INVALID), (7, REFUTED), (60, REFUTED)])
def test_what_never_came_back_did_not_recover(end_s: float, verdict: Verdict) -> None:
    """Refuted when the run went on for as long as was allowed; a run that ended sooner shows nothing."""
    failing = [op(5.5, status=503)]
    check = Recovers(operation="read", within_s=2)
    finding = check(history(failing, faults=[fault(1, 5)], end_s=end_s))
    assert finding.verdict is verdict
    assert "never worked again" in finding.says or verdict is INVALID
    both = [op(2.5), op(5.5, status=503)]
    assert check(history(both, faults=[fault(1, 2), fault(3, 5)], end_s=end_s)).verdict is verdict


def test_an_open_breaker_is_seen_in_the_samples() -> None:
    """In time it holds, too late or never it is refuted."""
    check = BreakerOpens(edge="a.b", within_s=1)
    cut = [fault(1, 5)]
    state = "resilience_breaker_state"
    assert check(history(faults=cut, sampled=samples(state, {0.5: 0, 1.5: 2, 6: 0}))).verdict is HELD
    assert check(history(faults=cut, sampled=samples(state, {0.5: 0, 1.5: 0, 2.5: 2}))).verdict is REFUTED
    never = check(history(faults=cut, sampled=samples(state, {0.5: 0, 6: 2})))
    assert never.verdict is REFUTED
    assert "never opened in 1 of 1 faults" in never.says


def test_failures_before_opening_are_counted_over_outcomes() -> None:
    """Errors and time-outs both count, successes do not."""
    sampled = [
        *samples("resilience_breaker_state", {0.9: 0, 1.5: 2}),
        *samples("resilience_calls_total", {0.9: 10, 1.5: 13}, outcome="error"),
        *samples("resilience_calls_total", {0.9: 0, 1.5: 3}, outcome="timeout"),
        *samples("resilience_calls_total", {0.9: 50, 1.5: 99}, outcome="ok"),
    ]
    run = history(faults=[fault(1, 5)], sampled=sampled)
    assert FailuresUntilOpen(edge="a.b", at_most=6)(run).verdict is HELD
    assert FailuresUntilOpen(edge="a.b", at_most=5)(run).verdict is REFUTED


def test_failures_are_counted_over_a_restart_of_the_service() -> None:
    """Its counters begin again at zero: 500 and then 90 are 90 more calls, not 410 fewer."""
    sampled = [
        *samples("resilience_breaker_state", {0.9: 0, 1.5: 0, 4: 0}),
        *samples("resilience_calls_total", {0.9: 497, 1.5: 500, 2.5: 80, 4: 90}, outcome="error"),
    ]
    finding = FailuresUntilOpen(edge="a.b", at_most=92)(history(faults=[fault(1, 5)], sampled=sampled))
    assert finding.measured["failures"] == 93
    assert finding.verdict is REFUTED


@pytest.mark.parametrize(
    ("calls", "states", "verdict"),
    [
        ({0.9: 10, 4: 10}, {0.9: 0, 4: 0}, INVALID),
        ({0.9: 10, 4: 13}, {0.9: 0, 4: 0}, HELD),
        ({0.9: 10, 4: 10}, {0.9: 0, 4: 2}, HELD),
    ],
    ids=["nothing failed", "some failed", "it opened"],
)
def test_a_breaker_that_saw_no_failure_was_not_tried(
    calls: dict[float, float], states: dict[float, float], verdict: Verdict
) -> None:
    """Without a failed call and without an opening nothing was exercised, whatever else went well."""
    sampled = [
        *samples("resilience_breaker_state", states),
        *samples("resilience_calls_total", calls, outcome="error"),
        *samples("resilience_calls_total", {0.9: 0, 4: 50}, outcome="ok"),
    ]
    run = history(faults=[fault(1, 5)], sampled=sampled)
    assert FailuresUntilOpen(edge="a.b", at_most=5)(run).verdict is verdict


def test_an_edge_without_a_call_pays_no_timeout() -> None:
    """And proves nothing: only calls before the fault were counted."""
    sampled = samples("resilience_calls_total", {0.5: 7, 4: 7}, outcome="ok")
    run = history(faults=[fault(1, 5)], sampled=sampled)
    assert TimeoutsPerOpening(edge="a.b", at_most=3)(run).verdict is INVALID


def test_an_open_breaker_lets_only_probes_through() -> None:
    """Attempts from the first open sample to healing are held against one for each interval."""
    sampled = [
        *samples("resilience_breaker_state", {0.9: 0, 1.5: 2, 4: 2}),
        *samples("resilience_attempts_total", {1.5: 5, 4: 9}),
    ]
    run = history(faults=[fault(1, 5)], sampled=sampled)
    assert ProbesOnly(edge="a.b")(run).verdict is HELD
    assert ProbesOnly(edge="a.b", open_s=4)(run).verdict is REFUTED


def test_timeouts_are_held_against_the_openings_of_the_breaker() -> None:
    """Five for each opening, a failed probe's included; what happened before the fault does not count."""
    sampled = [
        *samples("resilience_calls_total", {0.5: 100, 4: 106}, outcome="timeout"),
        *samples("resilience_breaker_transitions_total", {0.5: 0, 4: 2}, from_state="closed", to_state="open"),
    ]
    run = history(faults=[fault(1, 5)], sampled=sampled)
    assert TimeoutsPerOpening(edge="a.b", at_most=3)(run).verdict is HELD
    assert TimeoutsPerOpening(edge="a.b", at_most=2)(run).verdict is REFUTED


def test_workers_must_come_back_while_the_fault_lasts() -> None:
    """The gauge may be high at first and must be low later."""
    run = history(faults=[fault(1, 5)], sampled=samples("pool_connections_in_use", {1.2: 10, 2: 1, 3: 0}))
    assert WorkersReturn(edge="a.b", within_s=0.6, at_most=1)(run).verdict is HELD
    assert WorkersReturn(edge="a.b", within_s=0.1, at_most=1)(run).verdict is REFUTED


def test_a_caller_without_a_connection_to_the_proxy_bypasses_it() -> None:
    """The kernel's count of connections in steady state decides."""
    assert (
        Crosses(edge="a.b")(history(faults=[fault(1, 5)], sampled=samples("edge_connections", {0.5: 1}))).verdict
        is HELD
    )
    bypass = samples("edge_connections", {0.5: 0, 3: 1})
    assert Crosses(edge="a.b")(history(faults=[fault(1, 5)], sampled=bypass)).verdict is REFUTED
    healed_first = [fault(2, 4), fault(1, 5)]
    assert (
        Crosses(edge="a.b")(history(faults=healed_first, sampled=samples("edge_connections", {1.5: 1}))).verdict
        is INVALID
    )


def test_a_late_load_generator_is_inconclusive_not_refuted() -> None:
    """An overloaded lab says nothing about the platform."""
    late = replace(op(1), intended_ns=ns(0.5))
    assert KeptSchedule()(history([late])).verdict is INCONCLUSIVE
    assert KeptSchedule()(history([op(1)])).verdict is HELD


def test_a_platform_that_was_unwell_before_proves_nothing() -> None:
    """Failing before the fault is INVALID, failing at the end is REFUTED."""
    unwell = history([op(1, status=503), op(9.5, status=503)], faults=[fault(2, 5)])
    assert SteadyBefore(operation="read", share=0.99)(unwell).verdict is INVALID
    caught_under_way = history([op(1), op(1.99, took_ms=50, status=503)], faults=[fault(2, 5)])
    assert SteadyBefore(operation="read", share=0.99)(caught_under_way).verdict is HELD
    assert SteadyAfter(operation="read", share=0.99)(unwell).verdict is REFUTED


def test_moments_name_their_intervals() -> None:
    """Before, during, at the end, throughout, and while a breaker is open."""
    state = samples("resilience_breaker_state", {0.5: 0, 1.5: 2, 2.5: 2, 3: 1, 3.5: 2, 4: 2, 6: 2})
    run = history(faults=[fault(1, 5)], sampled=state)

    def spans(moments: object) -> list[tuple[float, float]]:
        return [((i.start_ns - ns(0)) / 1e9, (i.end_ns - ns(0)) / 1e9) for i in moments(run)]  # type: ignore[operator]

    assert spans(BeforeFaults()) == [(0, 1)]
    around = history(faults=[fault(3, 4), fault(2, 5.5)])
    assert [f.sent_ns for f in around.faults] == [ns(2), ns(3)]
    assert [(i.start_ns, i.end_ns) for i in BeforeFaults()(around)] == [(ns(0), ns(2))]
    assert spans(DuringFaults(0.5)) == [(1.5, 5)]
    assert spans(DuringFaults(9)) == []
    assert spans(AtTheEnd(2)) == [(8, 10)]
    assert spans(Throughout()) == [(0, 10)]
    assert spans(WhileOpen("a.b")) == [(1.5, 2.5), (3.5, 4)]
