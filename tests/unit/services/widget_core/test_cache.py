"""What lies in the cache is believed only when it is one of ours."""

import time

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from services.resilience import Deadline
from services.widget_core.cache import CachePolicy, WidgetCache
from tests.unit.services.fakes import FakeRedis

KEY = "widget:w"


@pytest.fixture
def get(run):
    """Return what the cache makes of a value that somebody has put there."""

    def get(value):
        redis = FakeRedis()
        redis.values[KEY] = value
        return run(WidgetCache(redis, CachePolicy(hard_ttl_s=30)).get("w", Deadline.after(5, time.monotonic)))

    return get


@pytest.mark.parametrize(
    "value",
    [b"", b"x", b"{}", b"1 2 active", b"one 2 active {}", b"1 two active {}", b"1 2 happy {}", b"\xff 2 active {}"],
)
def test_a_value_that_is_not_ours_is_a_miss(get, value):
    """The cache has answered, and knows nothing."""
    assert get(value) == (True, None)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=60) | st.from_regex(rb"\A\S{0,4} \S{0,9} (active|gone|x)", fullmatch=False))
def test_no_value_is_an_internal_error(get, value):
    """Whatever lies there."""
    assert get(value)[0]
