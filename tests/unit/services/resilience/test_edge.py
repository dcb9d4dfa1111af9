"""An edge applies its safeguards in their order, and tells the truth about the outcome."""

import asyncio
import math
import random

import pytest

from services.resilience import (
    AttemptTimeout,
    BreakerOpen,
    BreakerPolicy,
    BulkheadFull,
    BulkheadPolicy,
    Deadline,
    DeadlineExceeded,
    Edge,
    EdgePolicy,
    NotSent,
    OutcomeUnknown,
    Overloaded,
    RetryPolicy,
    State,
)

PATIENT = RetryPolicy(attempts=3, base_s=0.001, cap_s=0.001)


class Seen:
    """An observer that writes everything down."""

    def __init__(self):
        self.attempts = 0
        self.outcomes = []
        self.full = 0
        self.changes = []

    def attempted(self):
        self.attempts += 1

    def finished(self, outcome):
        self.outcomes.append(outcome)

    def rejected_by_bulkhead(self):
        self.full += 1

    def changed(self, old, new):
        self.changes.append((old, new))


@pytest.fixture
def seen():
    return Seen()


@pytest.fixture
def make(clock, seen):
    def make(**policy):
        policy = {"total_s": 1.0, "attempt_s": 0.4, "retry": PATIENT, **policy}
        return Edge("caller.store", EdgePolicy(**policy), seen, clock, random.Random(1))

    return make


def failing(*errors):
    left = list(errors)

    async def attempt(_deadline):
        if left:
            raise left.pop(0)
        return "done"

    return attempt


@pytest.fixture
def call(run, clock):
    def call(edge, attempt, *, seconds=10.0, safe=False):
        return run(edge.call(attempt, deadline=Deadline.after(seconds, clock), safe=safe))

    return call


def test_a_good_call(make, call, seen):
    """One attempt, outcome ok."""
    assert call(make(), failing()) == "done"
    assert (seen.attempts, seen.outcomes) == (1, ["ok"])


def test_the_attempt_gets_the_lesser_time(make, call, seen):
    """An attempt has its own time, or what is left of the caller's."""
    times = []

    async def attempt(deadline):
        times.append(deadline.remaining())

    call(make(), attempt)
    call(make(), attempt, seconds=0.1)
    assert times == pytest.approx([0.4, 0.1])


def test_without_attempt_timeout_the_driver_is_not_bounded(make, call):
    """With `attempt_timeout` and `deadline` off the driver is told to wait for ever."""
    times = []

    async def attempt(deadline):
        times.append(deadline.remaining())

    call(make(total_s=math.inf, attempt_s=math.inf, propagate=False), attempt)
    assert times == [math.inf]


def test_without_propagation_the_callers_deadline_is_ignored(make, call):
    """With `deadline.propagate` off work goes on for a caller who is gone."""
    assert call(make(propagate=False), failing(), seconds=0) == "done"


def test_no_work_after_the_deadline(make, call, seen):
    """A request without time left never reaches the driver."""
    with pytest.raises(DeadlineExceeded) as refused:
        call(make(), failing(), seconds=0)
    assert (seen.attempts, seen.outcomes, refused.value.edge) == (0, ["rejected"], "caller.store")


def test_the_breaker_stops_attempts(make, call, seen):
    """While it is open the driver is not called, and nothing is retried."""
    edge = make(breaker=BreakerPolicy(consecutive=3))
    for _ in range(2):
        with pytest.raises((NotSent, BreakerOpen)):
            call(edge, failing(*[NotSent()] * 9))
    assert seen.attempts == 3
    assert edge.degraded()
    assert edge.breaker.state is State.OPEN


def test_without_a_breaker_every_call_goes_out(make, call, seen):
    """With `breaker` off the dead dependency is called again and again."""
    edge = make(breaker_enabled=False, breaker=BreakerPolicy(consecutive=1))
    for _ in range(5):
        with pytest.raises(NotSent):
            call(edge, failing(*[NotSent()] * 9))
    assert seen.attempts == 15
    assert not edge.degraded()


def test_an_answer_that_is_an_error_counts_as_an_answer(make, call, seen):
    """An answer such as "no such widget" says that the dependency is well, and is counted."""
    edge = make(breaker=BreakerPolicy(consecutive=1))
    with pytest.raises(KeyError):
        call(edge, failing(KeyError()))
    assert not edge.degraded()
    assert seen.outcomes == ["ok"]


def test_a_refusal_inside_the_attempt_says_nothing(make, call):
    """A pool that refuses is ours, not the dependency's fault."""
    edge = make(breaker=BreakerPolicy(consecutive=1))
    with pytest.raises(BulkheadFull):
        call(edge, failing(BulkheadFull()))
    assert not edge.degraded()


def test_a_cancelled_call_says_nothing(make, run, clock):
    """A caller who gives up does not open the breaker, and takes no permit with him."""

    async def story():
        edge = make(breaker=BreakerPolicy(consecutive=1))

        async def hang(_deadline):
            await asyncio.sleep(100)

        task = asyncio.create_task(edge.call(hang, deadline=Deadline.after(1, clock)))
        await asyncio.sleep(0.1)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        assert not edge.degraded()
        assert edge.bulkhead.in_use == 0

    run(story())


def taking(takes_s, error=AttemptTimeout):
    """Return an attempt that answers after so long, or gives up with *error* at its deadline."""

    async def attempt(deadline):
        left = deadline.remaining()
        await asyncio.sleep(min(takes_s, left))
        if takes_s > left:
            raise error

    return attempt


@pytest.mark.parametrize("error", [AttemptTimeout, NotSent])
def test_callers_in_a_hurry_do_not_open_the_breaker(make, call, error):
    """They gave up before the dependency could be called slow, be it while connecting."""
    edge = make(breaker=BreakerPolicy(consecutive=5, slow_s=0.3))
    for _ in range(20):
        with pytest.raises((AttemptTimeout, NotSent)):
            call(edge, taking(0.03, error), seconds=0.005)
    assert not edge.degraded()
    call(edge, taking(0.03))


@pytest.mark.parametrize("error", [AttemptTimeout, NotSent])
@pytest.mark.parametrize(("attempt_s", "patience_s"), [(0.4, 0.3), (0.05, 10.0), (0.3, 0.299)])
def test_silence_opens_the_breaker_though_callers_have_deadlines(make, call, attempt_s, patience_s, error):
    """Who waited for as long as an answer may take has learnt something; a hair less is the same."""
    edge = make(attempt_s=attempt_s, breaker=BreakerPolicy(consecutive=5, slow_s=0.3))
    for _ in range(5):
        with pytest.raises((AttemptTimeout, NotSent, BreakerOpen)):
            call(edge, taking(60, error), seconds=patience_s)
    assert edge.breaker.state is State.OPEN


def test_a_refusal_is_a_failure_however_soon_it_comes(make, call):
    """Nobody is there: that is known long before any deadline."""
    edge = make(breaker=BreakerPolicy(consecutive=1))
    with pytest.raises(NotSent):
        call(edge, failing(*[NotSent()] * 3), seconds=0.1)
    assert edge.degraded()


def test_push_back_can_be_spared(make, call):
    """A quick 503 about somebody else's trouble does not open the breaker, unless it is told to."""
    push_back = failing(*[Overloaded(retry_after=9)] * 9)
    spared, strict = (
        make(ignore_overload=True, breaker=BreakerPolicy(consecutive=1)),
        make(breaker=BreakerPolicy(consecutive=1)),
    )
    for edge in (spared, strict):
        with pytest.raises(Overloaded):
            call(edge, push_back)
    assert (spared.degraded(), strict.degraded()) == (False, True)


def test_a_doubt_is_not_forgotten(make, call, seen):
    """One attempt timed out, the next was refused: the outcome is unknown, not "nothing done"."""
    edge = make(breaker=BreakerPolicy(consecutive=1))
    with pytest.raises(AttemptTimeout):
        call(edge, failing(AttemptTimeout(), NotSent()), safe=True)
    assert seen.outcomes == ["timeout"]


@pytest.mark.parametrize(
    ("error", "outcome"),
    [(OutcomeUnknown(), "error"), (AttemptTimeout(), "timeout"), (Overloaded(), "overloaded"), (NotSent(), "error")],
)
def test_outcomes_are_counted(make, call, seen, error, outcome):
    """Each kind of failure has its name in the metrics."""
    edge = make(retry=RetryPolicy(enabled=False))
    with pytest.raises(type(error)):
        call(edge, failing(error))
    assert seen.outcomes == [outcome]


def test_a_full_bulkhead_is_told(make, run, clock, seen):
    """The observer hears of each refusal."""

    async def story():
        edge = make(bulkhead=BulkheadPolicy(limit=1, wait_s=0.01))

        async def hang(_deadline):
            await asyncio.sleep(1)

        held = asyncio.create_task(edge.call(hang, deadline=Deadline.after(5, clock)))
        await asyncio.sleep(0)
        with pytest.raises(BulkheadFull):
            await edge.call(hang, deadline=Deadline.after(5, clock))
        await held
        assert (seen.full, sorted(seen.outcomes)) == (1, ["ok", "rejected"])

    run(story())
