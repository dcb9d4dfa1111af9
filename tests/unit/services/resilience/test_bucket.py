"""A token bucket allows a rate and a burst."""

import pytest

from services.resilience import KeyedBuckets, TokenBucket


def test_burst_then_rate(clock):
    """The burst is free, then tokens come at the rate."""
    bucket = TokenBucket(rate=10, burst=3, clock=clock)
    assert [bucket.take() for _ in range(4)] == [True, True, True, False]
    assert bucket.wait_s() == pytest.approx(0.1)
    clock.pass_(0.11)
    assert bucket.take()
    assert not bucket.take()


def test_a_full_bucket_has_no_wait(clock):
    """Who may go now waits for nothing, and rest does not pile up tokens."""
    bucket = TokenBucket(rate=10, burst=1, clock=clock)
    clock.pass_(100)
    assert bucket.wait_s() == 0
    assert [bucket.take(), bucket.take()] == [True, False]


def test_each_key_has_its_own(clock):
    """One client's haste does not slow another."""
    buckets = KeyedBuckets(rate=1, burst=1, clock=clock, size=2)
    assert buckets.of("a").take()
    assert not buckets.of("a").take()
    assert buckets.of("b").take()


def test_the_number_of_keys_is_bounded(clock):
    """The longest unused bucket is forgotten."""
    buckets = KeyedBuckets(rate=0.001, burst=1, clock=clock, size=2)
    for key in "abc":
        buckets.of(key).take()
    assert buckets.of("a").take()
