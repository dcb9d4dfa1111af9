"""The judges of patterns: retries, limits, fallback and steady recovery."""

import pytest

from chaos.checkers.breakers import BreakerCloses
from chaos.checkers.fallback import ServesStale
from chaos.checkers.finding import Checker
from chaos.checkers.limits import Bulkhead, Deadline, InFlight, Sheds
from chaos.checkers.metrics import (
    BREAKER,
    BULKHEAD_IN_USE,
    BULKHEAD_REJECTED,
    CALLS,
    IN_FLIGHT,
    POOL_FAILED,
    POOL_OPENED,
    REFUSED,
    RETRIES,
    WAITED,
    WAITED_SQUARES,
    growth,
)
from chaos.checkers.recovery import Steady
from chaos.checkers.retries import Amplifies, BudgetRefuses, Reconnects, Retries, Spaced
from chaos.history import History
from chaos.results.model import Verdict
from tests.support.histories import fault, history, ns, op, samples

HELD, REFUTED, INVALID = Verdict.HELD, Verdict.REFUTED, Verdict.INVALID

EVERY_JUDGE = [
    Amplifies(edge="a.b", at_most=1.2),
    BudgetRefuses(edge="a.b"),
    Retries(edge="a.b"),
    Reconnects(edge="a.b", at_least=20, retries_each=1.2),
    Spaced(edge="a.b", mean_ms=(10, 200)),
    InFlight(service="a", at_most=64),
    Sheds(operation="read", within_ms=20),
    Bulkhead(edge="a.b", at_most=10),
    Deadline(operation="read", within_ms=600),
    ServesStale(operation="read", at_most_s=30),
    Steady(operation="read", at_least=0.95, within_s=3),
    BreakerCloses(edge="a.b", within_s=2),
]


@pytest.mark.parametrize("judge", EVERY_JUDGE, ids=lambda j: type(j).__name__)
def test_nothing_exercised_is_never_held(judge: Checker) -> None:
    """An empty history is INVALID to every judge."""
    assert judge(history()).verdict is INVALID


def retried(per_second: float) -> History:
    """A hundred calls a second for four seconds; from 2 s on *per_second* retries a second."""
    times = [n / 10 for n in range(41)]
    calls = samples(CALLS, {t: 100 * t for t in times}, outcome="ok")
    return history(sampled=calls + samples(RETRIES, {t: per_second * max(0.0, t - 2) for t in times}))


@pytest.mark.parametrize(("per_second", "verdict"), [(0, HELD), (20, HELD), (25, REFUTED), (200, REFUTED)])
def test_amplification_is_that_of_the_worst_window(per_second: float, verdict: Verdict) -> None:
    """Twenty retries for a hundred calls are a factor of 1.2, whatever happened before."""
    finding = Amplifies(edge="a.b", at_most=1.2)(retried(per_second))
    assert finding.verdict is verdict
    assert finding.measured["amplification"] == pytest.approx(1 + per_second / 100)


def test_amplification_is_not_judged_among_few_calls() -> None:
    """Two retries for one call say nothing about a budget."""
    few = samples(CALLS, {0: 0, 2: 1}, outcome="ok") + samples(RETRIES, {0: 0, 2: 2})
    assert Amplifies(edge="a.b", at_most=1.2)(history(sampled=few)).verdict is INVALID


@pytest.mark.parametrize(("refused", "verdict"), [(0, REFUTED), (1, HELD)])
def test_a_budget_that_never_refuses_was_not_tried(refused: int, verdict: Verdict) -> None:
    """The refusals are counted over the whole run."""
    seen = history(sampled=samples(REFUSED, {0: 5, 9: 5 + refused}))
    assert BudgetRefuses(edge="a.b")(seen).verdict is verdict


def test_retries_count_while_the_fault_is_in_effect() -> None:
    """A retry before the fault does not show that the fault was met with one."""
    before = history(faults=[fault(4, 6)], sampled=samples(RETRIES, {0: 0, 3: 7, 6: 7}))
    during = history(faults=[fault(4, 6)], sampled=samples(RETRIES, {0: 0, 3: 0, 6: 7}))
    assert Retries(edge="a.b")(before).verdict is REFUTED
    assert Retries(edge="a.b")(during).verdict is HELD


@pytest.mark.parametrize(
    ("opened", "failed", "repeated", "verdict"),
    [(20, 0, 24, HELD), (19, 0, 0, REFUTED), (20, 0, 25, REFUTED), (20, 5, 30, HELD), (15, 10, 0, REFUTED)],
)
def test_a_pool_replaces_what_was_killed(opened: int, failed: int, repeated: int, verdict: Verdict) -> None:
    """Enough connections were replaced, and not many more calls repeated than were killed, open or about to be."""
    sampled = samples(POOL_OPENED, {3: 10, 6: 10 + opened}) + samples(RETRIES, {3: 0, 6: repeated})
    sampled += samples(POOL_FAILED, {3: 2, 6: 2 + failed})
    judge = Reconnects(edge="a.b", at_least=20, retries_each=1.2)
    assert judge(history(faults=[fault(4, 6)], sampled=sampled)).verdict is verdict


@pytest.mark.parametrize(
    ("waits_ms", "verdict"),
    [
        ([2.5 * n for n in range(1, 41)], HELD),
        ([50] * 40, REFUTED),
        ([50, 100] * 20, REFUTED),
        ([0.1 * n for n in range(1, 41)], REFUTED),
        ([20, 80], INVALID),
    ],
    ids=["full jitter", "all the same", "exponential in step", "at once", "too few"],
)
def test_retries_wait_and_do_not_march_in_step(waits_ms: list[float], verdict: Verdict) -> None:
    """Mean and spread are those of the waits while the fault was in effect."""
    totals = {
        RETRIES: float(len(waits_ms)),
        WAITED: sum(w / 1000 for w in waits_ms),
        WAITED_SQUARES: sum((w / 1000) ** 2 for w in waits_ms),
    }
    sampled = [sample for metric, total in totals.items() for sample in samples(metric, {3: 7.0, 6: 7.0 + total})]
    assert Spaced(edge="a.b", mean_ms=(10, 200))(history(faults=[fault(4, 6)], sampled=sampled)).verdict is verdict


@pytest.mark.parametrize(("most", "verdict"), [(64, HELD), (65, REFUTED)])
def test_a_service_bounds_what_is_inside(most: int, verdict: Verdict) -> None:
    """The largest sample counts."""
    seen = history(sampled=samples(IN_FLIGHT, {1: 3, 2: most, 3: 1}, service="a"))
    assert InFlight(service="a", at_most=64)(seen).verdict is verdict


def test_shedding_is_quick_and_happens() -> None:
    """Slow refusals are refuted, and so is a fault that sheds nobody."""
    slow = history([op(4.5, status=503, took_ms=300)], faults=[fault(4, 6)])
    quick = history([op(4.5, status=503, took_ms=3), op(4.6)], faults=[fault(4, 6)])
    nobody = history([op(4.5)], faults=[fault(4, 6)])
    judge = Sheds(operation="read", within_ms=20)
    assert [judge(h).verdict for h in (slow, quick, nobody)] == [REFUTED, HELD, REFUTED]


@pytest.mark.parametrize(("in_use", "refused", "verdict"), [(10, 5, HELD), (11, 5, REFUTED), (10, 0, INVALID)])
def test_a_bulkhead_is_judged_when_it_was_full(in_use: int, refused: int, verdict: Verdict) -> None:
    """One that refused nobody was not exercised."""
    sampled = samples(BULKHEAD_IN_USE, {3: 1, 5: in_use}) + samples(BULKHEAD_REJECTED, {3: 0, 5: refused})
    assert Bulkhead(edge="a.b", at_most=10)(history(faults=[fault(4, 6)], sampled=sampled)).verdict is verdict


def test_a_deadline_binds_every_call() -> None:
    """One late answer in a thousand is one too many, and it is the witness."""
    late = op(5, took_ms=700)
    finding = Deadline(operation="read", within_ms=600)(history([*(op(n / 1000) for n in range(999)), late]))
    assert finding.verdict is REFUTED
    assert "after 700 ms" in finding.witness[0]


@pytest.mark.parametrize(
    ("stale", "age_s", "verdict"),
    [(8, 12.0, HELD), (4, 12.0, REFUTED), (8, 31.0, REFUTED), (8, None, REFUTED)],
)
def test_a_fallback_serves_enough_and_nothing_too_old(stale: int, age_s: float | None, verdict: Verdict) -> None:
    """Eight of ten stale answers within their bound hold; too few, too old or of unknown age do not."""
    answers = [op(4 + n / 10, source="stale" if n < stale else "hit", age_s=age_s) for n in range(10)]
    judge = ServesStale(operation="read", at_most_s=30, at_least=0.5)
    assert judge(history(answers, faults=[fault(3, 6)])).verdict is verdict


def recovering(*bad_s: float) -> History:
    """Ten reads a second; those at *bad_s* fail; the fault is healed at 4 s."""
    times = [n / 10 for n in range(100)]
    return history([op(t, status=503 if t in bad_s else 200) for t in times], faults=[fault(2, 4)])


@pytest.mark.parametrize(
    ("bad_s", "verdict"), [((), HELD), ((4.1, 5.2), HELD), ((8.1,), REFUTED)], ids=["well", "soon", "relapse"]
)
def test_a_relapse_is_no_recovery(bad_s: tuple[float, ...], verdict: Verdict) -> None:
    """The time to steady state ends with the last bad window, not with the first good one."""
    assert Steady(operation="read", at_least=0.95, within_s=3)(recovering(*bad_s)).verdict is verdict


def test_slow_answers_are_not_goodput() -> None:
    """An answer that came too late to be of use is not good."""
    slow = history([op(n / 10, took_ms=1500) for n in range(100)], faults=[fault(2, 4)])
    assert Steady(operation="read", at_least=0.95, within_s=3)(slow).verdict is REFUTED


def test_a_run_that_ends_too_soon_shows_no_recovery() -> None:
    """Without a whole window after the time allowed nothing can be said."""
    short = history([op(n / 10) for n in range(60)], faults=[fault(2, 4)], end_s=6)
    assert Steady(operation="read", at_least=0.95, within_s=3)(short).verdict is INVALID


@pytest.mark.parametrize(("closed_at_s", "verdict"), [(7, HELD), (9, REFUTED)])
def test_a_breaker_that_opened_closes_again(closed_at_s: float, verdict: Verdict) -> None:
    """Counted from healing; one that stayed closed was not exercised."""
    states = {1.0: 0.0, 5.0: 2.0, 6.0: 2.0, closed_at_s: 0.0}
    assert (
        BreakerCloses(edge="a.b", within_s=2)(history(faults=[fault(4, 6)], sampled=samples(BREAKER, states))).verdict
        is verdict
    )


@pytest.mark.parametrize(("end_s", "verdict"), [(7.5, INVALID), (8, REFUTED)])
def test_a_breaker_that_never_closes_is_refuted_when_there_was_time(end_s: float, verdict: Verdict) -> None:
    """A run that ended before the time allowed shows nothing."""
    sampled = samples(BREAKER, {1.0: 0.0, 5.0: 2.0, 6.0: 2.0, 7.0: 1.0})
    run = history(faults=[fault(4, 6)], sampled=sampled, end_s=end_s)
    assert BreakerCloses(edge="a.b", within_s=2)(run).verdict is verdict


def test_amplification_is_judged_over_a_restart() -> None:
    """Calls and retries begin again at zero; every window reaches over that moment or lies before it."""
    times = [n / 10 for n in range(36)]
    calls = {t: 100 * (t if t < 2 else t - 2) for t in times}
    retries = {t: 50 * (0 if t < 2 else t - 2) for t in times}
    sampled = samples(CALLS, calls, outcome="ok") + samples(RETRIES, retries)
    finding = Amplifies(edge="a.b", at_most=1.2)(history(sampled=sampled))
    assert finding.verdict is REFUTED
    assert finding.measured["amplification"] == pytest.approx(1.4, abs=0.05)


def test_a_counter_that_vanished_with_its_process_begins_again_at_zero() -> None:
    """Though it had come further than it was when it was last seen."""
    before = samples(RETRIES, {3: 5}, caller="x") + samples(RETRIES, {3: 9, 4.5: 1, 5: 1}, caller="y")
    run = history(faults=[fault(4, 6)], sampled=before + samples(RETRIES, {5.5: 7}, caller="x"))
    assert growth(run, RETRIES, ns(3), ns(6), edge="a.b") == 8


def test_a_service_that_held_nothing_shows_no_bound() -> None:
    """Its count was there and never above zero."""
    idle = history(sampled=samples(IN_FLIGHT, {1: 0, 2: 0}, service="a"))
    assert InFlight(service="a", at_most=64)(idle).verdict is INVALID
