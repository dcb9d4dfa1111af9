"""What the edges of a service let through, and when."""

from types import SimpleNamespace

import pytest

from services.resilience import BreakerOpen
from services.web.edges import Edges
from services.web.environment import Environment
from services.web.metrics import Metrics

ROUND_S = 0.5
RELAPSES = 6


@pytest.fixture
def edges(clock, monkeypatch):
    """The edges of a gateway whose clock is moved by hand."""
    monkeypatch.setattr("services.web.edges.time", SimpleNamespace(monotonic=clock))
    return Edges(Environment({"SERVICE_PROFILE": "lab"}).common("gateway", 8080), Metrics())


def refused_rounds(edge, clock):
    """Return how many of the first rounds after an outage are refused, when one outage follows the other."""
    refused = 0
    for _ in range(RELAPSES):
        for _ in range(edge.breaker.policy.consecutive):
            edge.breaker.fail(edge.breaker.admit())
        clock.pass_(ROUND_S)
        for _ in range(edge.breaker.policy.successes_to_close):
            try:
                edge.breaker.succeed(edge.breaker.admit())
            except BreakerOpen:
                refused += 1
                clock.pass_(edge.breaker.policy.max_open_s)
                edge.breaker.succeed(edge.breaker.admit())
    return refused


def test_rounds_go_on_as_soon_as_the_dependency_is_back(edges, clock):
    """However often it was away; whereas requests leave a dependency that relapses alone for longer each time."""
    assert refused_rounds(edges.for_rounds("redis", "gateway.redis", ROUND_S, "gateway.redis.rounds"), clock) == 0
    assert refused_rounds(edges.make("redis", "gateway.redis"), clock) > 0
