"""Rate limits hold with the shared counter, and without it by each instance alone."""

import time

import pytest

from services.gateway.limits import Limit, LimitPolicy
from services.resilience import Deadline, NotSent, RateLimited
from tests.unit.services.fakes import FakeRedis


@pytest.fixture
def allowed(run):
    def allowed(limit, client, times):
        async def knock():
            count = 0
            for _ in range(times):
                try:
                    await limit.check(client, Deadline.after(1, time.monotonic))
                except RateLimited:
                    continue
                count += 1
            return count

        return run(knock())

    return allowed


def limit(redis, **more):
    """Return a limit of five in a long window."""
    return Limit(redis, LimitPolicy(**{"name": "x", "most": 5, "window_s": 10_000, **more}))


def test_so_many_per_window_and_client(allowed):
    """The sixth is refused; another client has a count of his own."""
    made = limit(FakeRedis())
    assert (allowed(made, "a", 8), allowed(made, "b", 3)) == (5, 3)
    assert (made.refused, made.local) == (3, 0)


def test_without_redis_each_instance_counts_alone(allowed):
    """The limit still holds; with `rate_limit.local_fallback` off everybody gets the error."""
    redis = FakeRedis()
    redis.error = NotSent()
    alone = limit(redis)
    assert (allowed(alone, "a", 8), alone.local, alone.refused) == (5, 8, 3)
    with pytest.raises(NotSent):
        allowed(limit(redis, local_fallback=False), "a", 1)


def test_without_a_limit_everybody_comes_in(allowed):
    """With `rate_limit` off nothing is counted."""
    redis = FakeRedis()
    assert allowed(limit(redis, enabled=False), "a", 100) == 100
    assert redis.asked == 0
