"""What the safeguards do, as Prometheus metrics: one registry per process."""

from collections.abc import Callable
from typing import Protocol

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from starlette.responses import Response

from services.resilience import Edge, Ingress, State

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
AGES = (0.1, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 300.0)
OUTCOMES = ("ok", "error", "timeout", "rejected", "overloaded")


class Pool(Protocol):
    """A pool of connections."""

    opened: int
    failed: int

    @property
    def in_use(self) -> int:
        """Return how many connections are taken from it."""


class Metrics:
    """The metrics of one service."""

    def __init__(self) -> None:
        """Create the families; children appear with the edges."""
        self.registry = CollectorRegistry()
        self._transitions = self.counter(
            "resilience_breaker_transitions", "Changes of state", "edge", "from_state", "to_state"
        )
        self._calls = self.counter("resilience_calls", "Calls by outcome", "edge", "outcome")
        self._attempts = self.counter("resilience_attempts", "Attempts that went to the driver", "edge")
        self._bulkhead = self.counter("resilience_bulkhead_rejected", "Refused by the bulkhead", "edge")
        self._state = self.gauge("resilience_breaker_state", "0 closed, 1 half-open, 2 open", "edge")
        self._in_use = self.gauge("resilience_bulkhead_in_use", "Slots taken", "edge")
        self._retries = self.gauge("resilience_retries_total", "Retries made", "edge")
        self._waited = self.gauge("resilience_retry_wait_seconds_total", "Waits before retries, summed up", "edge")
        self._squares = self.gauge("resilience_retry_wait_squares_total", "Their squares, for their spread", "edge")
        self._refused = self.gauge("resilience_retries_refused_total", "Retries the budget refused", "edge")
        self.pool = self.gauge("pool_connections_in_use", "Connections taken from the pool", "edge")
        self._opened = self.gauge("pool_connections_opened_total", "Connections opened since the start", "edge")
        self._failed = self.gauge("pool_connections_failed_total", "Connections that could not be opened", "edge")
        self._cache = self.counter("cache_requests", "Reads by what the cache said", "edge", "result")
        self._age = Histogram("cache_age_served_seconds", "Age served", ["edge"], buckets=AGES, registry=self.registry)
        self._in_flight = self.gauge("ingress_in_flight", "Requests inside", "service")
        self._queued = self.gauge("ingress_queued", "Requests at the door", "service")
        self._shed = self.gauge("ingress_shed_total", "Requests refused at the door", "service")

    def counter(self, name: str, text: str, *labels: str) -> Counter:
        """Return a new counter; `_total` is added to its name."""
        return Counter(name, text, labels, registry=self.registry)

    def gauge(self, name: str, text: str, *labels: str) -> Gauge:
        """Return a new gauge."""
        return Gauge(name, text, labels, registry=self.registry)

    def show(self, name: str, text: str, read: Callable[[], float]) -> None:
        """Show a number that a part of the service keeps."""
        self.gauge(name, text).set_function(read)

    def served(self, edge: str) -> Callable[[str, float], None]:
        """Return what is to be told of each read: what the cache said, and the age in seconds."""

        def note(result: str, age_s: float) -> None:
            self._cache.labels(edge, result).inc()
            self._age.labels(edge).observe(age_s)

        return note

    def observer(self, edge: str) -> "EdgeMetrics":
        """Return the observer to build *edge* with."""
        return EdgeMetrics(edge, self._calls, self._attempts, self._bulkhead, self._transitions)

    def watch(self, edge: Edge) -> None:
        """Show the present state of *edge*."""
        self._state.labels(edge.name).set_function(lambda: float(edge.breaker.state))
        self._in_use.labels(edge.name).set_function(lambda: float(edge.bulkhead.in_use))
        self._retries.labels(edge.name).set_function(lambda: float(edge.retrier.retries))
        self._waited.labels(edge.name).set_function(lambda: edge.retrier.waited_s)
        self._squares.labels(edge.name).set_function(lambda: edge.retrier.waited_squares)
        self._refused.labels(edge.name).set_function(lambda: float(edge.budget.refused))

    def watch_pool(self, edge: str, pool: Pool) -> None:
        """Show how many connections a pool has opened or failed to open, and how many are in use."""
        self.pool.labels(edge).set_function(lambda: float(pool.in_use))
        self._opened.labels(edge).set_function(lambda: float(pool.opened))
        self._failed.labels(edge).set_function(lambda: float(pool.failed))

    def watch_door(self, service: str, ingress: Ingress) -> None:
        """Show what happens at the door."""
        self._in_flight.labels(service).set_function(lambda: float(ingress.in_flight))
        self._queued.labels(service).set_function(lambda: float(ingress.queued))
        self._shed.labels(service).set_function(lambda: float(ingress.shed))

    def response(self) -> Response:
        """Return everything in the text format."""
        return Response(generate_latest(self.registry), media_type=CONTENT_TYPE)


class EdgeMetrics:
    """An `EdgeObserver` that counts."""

    def __init__(self, edge: str, calls: Counter, attempts: Counter, bulkhead: Counter, transitions: Counter) -> None:
        """Create the children of *edge*, so that they are there from the first scrape."""
        self._outcomes = {outcome: calls.labels(edge, outcome) for outcome in OUTCOMES}
        self._attempts = attempts.labels(edge)
        self._bulkhead = bulkhead.labels(edge)
        self._edge = edge
        self._transitions = transitions

    def attempted(self) -> None:
        """Count an attempt."""
        self._attempts.inc()

    def finished(self, outcome: str) -> None:
        """Count a call by its outcome."""
        self._outcomes[outcome].inc()

    def rejected_by_bulkhead(self) -> None:
        """Count a refusal."""
        self._bulkhead.inc()

    def changed(self, old: State, new: State) -> None:
        """Count a change of state."""
        self._transitions.labels(self._edge, old.name.lower(), new.name.lower()).inc()
