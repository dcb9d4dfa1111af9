"""A deadline tells how much time is left, and refuses to start what cannot be finished."""

import math

import pytest

from services.resilience import Deadline, DeadlineExceeded


def test_time_runs_out(clock):
    """It counts down to zero, never below."""
    deadline = Deadline.after(2, clock)
    clock.pass_(0.5)
    assert deadline.remaining() == pytest.approx(1.5)
    clock.pass_(5)
    assert deadline.remaining() == 0
    assert deadline.expired()


def test_nothing_starts_after_it(clock):
    """`check` passes while there is time and raises afterwards."""
    deadline = Deadline.after(1, clock)
    deadline.check()
    clock.pass_(1)
    with pytest.raises(DeadlineExceeded):
        deadline.check()


def test_the_earlier_one_wins(clock):
    """An attempt gets its own time or what is left of the whole, whichever is less."""
    assert Deadline.after(5, clock).within(2).remaining() == 2
    assert Deadline.after(1, clock).within(2).remaining() == 1


def test_never_does_not_come(clock):
    """Without a deadline there is always time."""
    assert math.isinf(Deadline.never(clock).remaining())
