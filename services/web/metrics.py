"""What the safeguards do, as Prometheus metrics: one registry per process."""

from prometheus_client import CollectorRegistry, Counter, Gauge, generate_latest
from starlette.responses import Response

from services.resilience import Edge, Ingress, State

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
OUTCOMES = ("ok", "error", "timeout", "rejected", "overloaded")


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
        self._refused = self.gauge("resilience_retries_refused_total", "Retries the budget refused", "edge")
        self.pool = self.gauge("pool_connections_in_use", "Connections taken from the pool", "edge")
        self.cache = self.counter("cache_requests", "Reads by what the cache said", "edge", "result")
        self._in_flight = self.gauge("ingress_in_flight", "Requests inside", "service")
        self._queued = self.gauge("ingress_queued", "Requests at the door", "service")
        self._shed = self.gauge("ingress_shed_total", "Requests refused at the door", "service")

    def counter(self, name: str, text: str, *labels: str) -> Counter:
        """Return a new counter; `_total` is added to its name."""
        return Counter(name, text, labels, registry=self.registry)

    def gauge(self, name: str, text: str, *labels: str) -> Gauge:
        """Return a new gauge."""
        return Gauge(name, text, labels, registry=self.registry)

    def observer(self, edge: str) -> "EdgeMetrics":
        """Return the observer to build *edge* with."""
        return EdgeMetrics(edge, self._calls, self._attempts, self._bulkhead, self._transitions)

    def watch(self, edge: Edge) -> None:
        """Show the present state of *edge*."""
        self._state.labels(edge.name).set_function(lambda: float(edge.breaker.state))
        self._in_use.labels(edge.name).set_function(lambda: float(edge.bulkhead.in_use))
        self._retries.labels(edge.name).set_function(lambda: float(edge.retrier.retries))
        self._refused.labels(edge.name).set_function(lambda: float(edge.budget.refused))

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
