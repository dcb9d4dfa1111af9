"""The circuit breaker opens in time, probes carefully, and is not fooled by late results."""

import dataclasses

import pytest

from services.resilience import BreakerOpen, BreakerPolicy, CircuitBreaker, State

POLICY = BreakerPolicy(
    consecutive=3, window_s=10, min_calls=10, failure_ratio=0.5, slow_s=1, slow_ratio=0.8,
    open_s=5, max_open_s=15, relapse_s=4, permits=1, successes_to_close=2,
)  # fmt: skip


def breaker(clock, **changes):
    return CircuitBreaker(dataclasses.replace(POLICY, **changes), clock)


def fail(made, times=1):
    for _ in range(times):
        made.fail(made.admit())


def succeed(made, times=1):
    for _ in range(times):
        made.succeed(made.admit())


def tripped(clock, **changes):
    made = breaker(clock, **changes)
    fail(made, 3)
    return made


def test_it_opens_after_failures_in_a_row(clock):
    """The third failure in a row opens it, and callers learn when to come back."""
    made = breaker(clock)
    fail(made, 2)
    assert made.state is State.CLOSED
    fail(made)
    clock.pass_(2)
    with pytest.raises(BreakerOpen) as refused:
        made.admit()
    assert refused.value.retry_after == pytest.approx(3)


def test_a_success_breaks_the_row(clock):
    """Failures that are not in a row do not open it below the ratio."""
    made = breaker(clock)
    for _ in range(3):
        fail(made, 2)
        succeed(made, 4)
    assert made.state is State.CLOSED


def test_it_opens_by_the_ratio_of_failures(clock):
    """Half of ten calls failed, never three in a row: it opens."""
    made = breaker(clock)
    for _ in range(5):
        succeed(made)
        assert made.state is State.CLOSED
        fail(made)
    assert made.state is State.OPEN


def test_old_results_drop_out_of_the_window(clock):
    """What happened before the window does not count."""
    made = breaker(clock)
    for _ in range(4):
        succeed(made)
        fail(made)
    clock.pass_(11)
    succeed(made)
    fail(made)
    assert made.state is State.CLOSED


def slow_success(made, clock):
    ticket = made.admit()
    clock.pass_(1)
    made.succeed(ticket)


def test_slow_successes_open_it(clock):
    """A dependency that answers, but slowly, is treated as one that is down."""
    made = breaker(clock, window_s=100)
    for _ in range(10):
        slow_success(made, clock)
    assert made.state is State.OPEN


def test_without_slow_calls_slowness_is_ignored(clock):
    """With `breaker.slow_calls` off it stays closed however slow the answers are."""
    made = breaker(clock, window_s=100, slow_calls=False)
    for _ in range(20):
        slow_success(made, clock)
    assert made.state is State.CLOSED


def test_half_open_lets_one_probe_through(clock):
    """After the pause one caller may try; the others are refused until he is back."""
    made = tripped(clock)
    clock.pass_(5)
    probe = made.admit()
    with pytest.raises(BreakerOpen):
        made.admit()
    made.succeed(probe)
    assert made.state is State.HALF_OPEN
    succeed(made)
    assert made.state is State.CLOSED


def test_without_permits_everybody_probes(clock):
    """With `breaker.half_open_permits` off all callers rush in."""
    made = tripped(clock, half_open_permits=False)
    clock.pass_(5)
    assert len([made.admit() for _ in range(20)]) == 20


def test_a_failed_probe_opens_it_again(clock):
    """A failed probe costs another pause of the same length."""
    made = tripped(clock)
    for _ in range(3):
        clock.pass_(5)
        fail(made)
        assert made.state is State.OPEN
        clock.pass_(4.9)
        assert made.state is State.OPEN
        clock.pass_(0.1)
        assert made.state is State.HALF_OPEN


def test_a_slow_probe_is_a_failed_probe(clock):
    """A probe that succeeds too slowly does not close it."""
    made = tripped(clock)
    clock.pass_(5)
    slow_success(made, clock)
    assert made.state is State.OPEN


def test_a_late_success_counts_for_nothing(clock):
    """A call admitted before it opened cannot close it."""
    made = breaker(clock)
    late = made.admit()
    fail(made, 3)
    made.succeed(late)
    assert made.state is State.OPEN
    clock.pass_(5)
    assert made.state is State.HALF_OPEN
    made.succeed(late)
    made.succeed(late)
    assert made.state is State.HALF_OPEN


def test_without_generations_a_late_success_counts(clock):
    """With `breaker.generation` off late successes close it while the dependency is down."""
    made = breaker(clock, generations=False, slow_calls=False, successes_to_close=1)
    late = made.admit()
    fail(made, 3)
    clock.pass_(5)
    made.succeed(late)
    assert made.state is State.CLOSED


def test_without_generations_a_late_failure_prolongs_the_pause(clock):
    """With `breaker.generation` off calls from before keep it open."""
    made = breaker(clock, generations=False)
    late = made.admit()
    fail(made, 3)
    clock.pass_(4)
    made.fail(late)
    clock.pass_(4)
    assert made.state is State.OPEN


def test_a_cancelled_probe_gives_its_permit_back(clock):
    """An abandoned probe counts neither way, and the next caller is the new probe."""
    made = tripped(clock)
    clock.pass_(5)
    made.cancel(made.admit())
    assert made.state is State.HALF_OPEN
    made.succeed(made.admit())


def test_a_cancelled_call_says_nothing_while_closed(clock):
    """Abandoned calls do not open it."""
    made = breaker(clock)
    for _ in range(20):
        made.cancel(made.admit())
    assert made.state is State.CLOSED


def close_again(made, clock, pause):
    clock.pass_(pause)
    succeed(made, 2)
    assert made.state is State.CLOSED


def test_relapses_lengthen_the_pause_up_to_a_limit(clock):
    """Each relapse soon after closing doubles the pause; a calm time resets it."""
    made = tripped(clock)
    for pause in (5, 10, 15, 15):
        clock.pass_(pause - 0.1)
        assert made.state is State.OPEN
        close_again(made, clock, 0.1)
        clock.pass_(1)
        fail(made, 3)
    close_again(made, clock, 15)
    clock.pass_(5)
    fail(made, 3)
    close_again(made, clock, 5)


def test_without_backoff_the_pause_stays(clock):
    """With `breaker.backoff` off a flapping dependency is tried as often as ever."""
    made = tripped(clock, backoff=False)
    close_again(made, clock, 5)
    fail(made, 3)
    close_again(made, clock, 5)


def test_changes_of_state_are_told(clock):
    """An observer hears of each change, with the state before and after."""
    heard = []
    made = CircuitBreaker(POLICY, clock, lambda old, new: heard.append((old.name, new.name)))
    fail(made, 3)
    close_again(made, clock, 5)
    assert heard == [("CLOSED", "OPEN"), ("OPEN", "HALF_OPEN"), ("HALF_OPEN", "CLOSED")]
