"""Retries happen where they are safe, useful and affordable, and nowhere else."""

import dataclasses
import random

import pytest
from tenacity import RetryCallState

from services.resilience import (
    AnsweredUnknown,
    AttemptTimeout,
    BreakerOpen,
    BudgetPolicy,
    Deadline,
    NotSent,
    OutcomeUnknown,
    Overloaded,
    Retrier,
    RetryBudget,
    RetryPolicy,
)
from services.resilience.retry import _error_of

POLICY = RetryPolicy(attempts=3, base_s=0.1, cap_s=0.3)


class Attempts:
    """Fail with the given errors in turn, then succeed."""

    def __init__(self, *errors):
        self.errors = list(errors)
        self.made = 0

    async def __call__(self):
        self.made += 1
        if self.errors:
            raise self.errors.pop(0)
        return "done"


@pytest.fixture
def waits():
    return []


@pytest.fixture
def go(run, clock, waits):
    def go(work, *, safe=False, seconds=10.0, reserve=10.0, rng=None, **changes):
        async def sleep(wait):
            waits.append(wait)
            clock.pass_(wait)

        budget = RetryBudget(BudgetPolicy(reserve=reserve, enabled=changes.pop("budget", True)))
        policy = dataclasses.replace(POLICY, **changes)
        retrier = Retrier(policy, budget, rng or random.Random(7), sleep)
        go.retrier = retrier
        return run(retrier.run(work, safe=safe, deadline=Deadline.after(seconds, clock)))

    return go


def test_waits_and_their_squares_are_summed_up(go, waits):
    """From both a judge can tell how long callers wait, and whether they march in step."""
    go(Attempts(NotSent(), NotSent()))
    assert go.retrier.waited_s == pytest.approx(sum(waits))
    assert go.retrier.waited_squares == pytest.approx(sum(wait**2 for wait in waits))


def test_what_was_not_sent_is_sent_again(go):
    """A call that certainly had no effect is repeated, safe or not."""
    attempts = Attempts(NotSent(), NotSent())
    assert go(attempts) == "done"
    assert attempts.made == 3


def test_an_unknown_outcome_is_repeated_only_when_that_is_safe(go):
    """Without idempotency a lost reply is an error; with it, a retry."""
    unsafe = Attempts(OutcomeUnknown())
    with pytest.raises(OutcomeUnknown):
        go(unsafe)
    assert unsafe.made == 1
    assert go(Attempts(AttemptTimeout()), safe=True) == "done"


def test_without_classification_everything_is_repeated(go):
    """With `retry.classify` off an unsafe call of unknown outcome, or on an open breaker, is repeated."""
    assert go(Attempts(OutcomeUnknown(), BreakerOpen()), classify=False) == "done"


def test_an_open_breaker_is_never_retried(go):
    """The breaker said no: asking again at once is the storm it prevents."""
    attempts = Attempts(BreakerOpen())
    with pytest.raises(BreakerOpen):
        go(attempts, safe=True)
    assert attempts.made == 1


def test_an_answer_is_not_an_error_to_retry(go):
    """Errors that are answers of the dependency pass through at once."""
    attempts = Attempts(KeyError("no such widget"))
    with pytest.raises(KeyError):
        go(attempts, safe=True)
    assert attempts.made == 1


def test_it_gives_up_after_so_many_attempts(go):
    """The last error is raised."""
    attempts = Attempts(*[NotSent(str(n)) for n in range(5)])
    with pytest.raises(NotSent, match="2"):
        go(attempts)
    assert attempts.made == 3


def test_without_retry_there_is_one_attempt(go):
    """With `retry` off the first error is the answer."""
    attempts = Attempts(NotSent())
    with pytest.raises(NotSent):
        go(attempts, enabled=False)
    assert attempts.made == 1


def test_waits_are_fully_jittered(go, waits):
    """Each wait is drawn from zero to the ceiling of its round."""
    for seed in range(50):
        go(Attempts(NotSent(), NotSent()), rng=random.Random(seed))
    first, second = waits[::2], waits[1::2]
    assert 0 <= min(first) < 0.02
    assert 0.08 < max(first) <= 0.1
    assert 0.15 < max(second) <= 0.2


def test_without_jitter_everybody_waits_the_same(go, waits):
    """With `retry.jitter` off the waits are those of everybody else, and capped."""
    go(Attempts(*[NotSent()] * 4), attempts=5, jitter=False)
    assert waits == pytest.approx([0.1, 0.2, 0.3, 0.3])


def test_nobody_returns_earlier_than_asked(go, waits):
    """A Retry-After is the least wait."""
    go(Attempts(Overloaded(retry_after=2.0)))
    assert waits == [2.0]


def test_whoever_names_a_time_is_not_asked_before(go, waits):
    """A service that does not know the outcome may ask for a pause too."""
    go(Attempts(AnsweredUnknown(retry_after=2.0)), safe=True)
    assert waits == [2.0]


def test_push_back_without_a_hint_is_not_retried(go):
    """An overloaded dependency that gives no time is left alone."""
    with pytest.raises(Overloaded):
        go(Attempts(Overloaded()))


def test_without_honouring_the_hint_is_ignored(go, waits):
    """With `retry.honour_retry_after` off the next attempt comes at once."""
    go(Attempts(Overloaded(retry_after=2.0)), honour_retry_after=False)
    assert waits[0] < 0.1


def test_a_wait_beyond_the_deadline_is_not_begun(go):
    """There is no point in waiting for what nobody will wait for."""
    attempts = Attempts(Overloaded(retry_after=2.0))
    with pytest.raises(Overloaded):
        go(attempts, seconds=1.0)
    assert attempts.made == 1


def test_the_budget_stops_retries(go):
    """With an empty budget the first error is the answer."""
    with pytest.raises(NotSent):
        go(Attempts(NotSent()), reserve=0.0)
    assert go(Attempts(NotSent()), reserve=0.0, budget=False) == "done"


def test_a_retry_without_an_error_is_a_bug_and_says_so():
    """Tenacity asks for a wait after an error only: a version that does otherwise is noticed."""
    with pytest.raises(AssertionError, match="without an error"):
        _error_of(RetryCallState(None, None, (), {}))
