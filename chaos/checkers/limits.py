"""What a service lets in and keeps waiting: bulkheads, shedding, deadlines."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from chaos.checkers.clients import latencies_ms
from chaos.checkers.finding import judged, percentile, told
from chaos.checkers.metrics import BULKHEAD_IN_USE, BULKHEAD_REJECTED, IN_FLIGHT, growth, series
from chaos.checkers.moments import DuringFaults, Interval, Moments, Throughout, sent_in
from chaos.history import History
from chaos.results.model import Finding

UNAVAILABLE = 503


@dataclass(frozen=True, kw_only=True, slots=True)
class InFlight:
    """*service* never holds more than *at_most* requests at once."""

    service: str
    at_most: int
    during: Moments = field(default_factory=Throughout)

    def __call__(self, history: History) -> Finding:
        """Judge *history* by the service's own count; INVALID when that never saw a request."""
        seen = _within(series(history, IN_FLIGHT, service=self.service), self.during(history))
        most = max(seen, default=0.0)
        return judged(
            f"{self.service} bounds what is inside {self.during}",
            holds=most <= self.at_most,
            checked=len(seen) if most else 0,
            says=f"up to {most:g} requests at once, {self.at_most} allowed",
            measured={"in_flight": most},
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class Sheds:
    """At least *at_least* operations in *during* are refused with 503, p99 within *within_ms* milliseconds.

    The operations refused must be all that were not answered otherwise: see ``Answers`` for that.
    """

    operation: str
    within_ms: float
    at_least: int = 1
    percent: float = 99
    during: Moments = field(default_factory=DuringFaults)

    def __call__(self, history: History) -> Finding:
        """Judge *history*."""
        sent = sent_in(history.of(self.operation), self.during(history))
        shed = [o for o in sent if o.status == UNAVAILABLE]
        latencies = latencies_ms(shed, history)
        name, value = percentile(latencies.values(), self.percent)
        slowest = sorted(shed, key=lambda o: -latencies[o.index])
        return judged(
            f"{self.operation} that is too much is refused at once {self.during}",
            holds=len(shed) >= self.at_least and value < self.within_ms,
            checked=len(sent),
            says=f"{len(shed)} of {len(sent)} refused, at least {self.at_least} expected; "
            f"{name} after {value:.0f} ms, below {self.within_ms:g} ms expected",
            measured={"shed": len(shed), "latency_ms": value},
            witness=[told(o, history) for o in slowest],
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class Bulkhead:
    """Never more than *at_most* calls are under way on *edge*, and the bulkhead refused somebody."""

    edge: str
    at_most: int
    during: Moments = field(default_factory=DuringFaults)

    def __call__(self, history: History) -> Finding:
        """Judge *history* by the service's own counts."""
        spans = self.during(history)
        seen = _within(series(history, BULKHEAD_IN_USE, edge=self.edge), spans)
        most = max(seen, default=0.0)
        refused = sum(growth(history, BULKHEAD_REJECTED, s.start_ns, s.end_ns, edge=self.edge) for s in spans)
        return judged(
            f"the bulkhead of {self.edge} bounds what waits {self.during}",
            holds=most <= self.at_most,
            checked=len(seen) if refused else 0,
            says=f"up to {most:g} calls at once, {self.at_most} allowed; {refused:g} refused",
            measured={"in_use": most, "refused": refused},
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class Deadline:
    """No operation keeps its client waiting for longer than *within_ms* milliseconds."""

    operation: str
    within_ms: float
    during: Moments = field(default_factory=Throughout)

    def __call__(self, history: History) -> Finding:
        """Judge *history*: the slowest counts, answered or not."""
        sent = sent_in(history.of(self.operation), self.during(history))
        latencies = latencies_ms(sent, history)
        late = [o for o in sent if latencies[o.index] > self.within_ms]
        slowest = max(latencies.values(), default=0.0)
        return judged(
            f"{self.operation} keeps its deadline {self.during}",
            holds=not late,
            checked=len(sent),
            says=f"slowest of {len(sent)} after {slowest:.0f} ms, {self.within_ms:g} ms allowed",
            measured={"slowest_ms": slowest, "late": len(late)},
            witness=[told(o, history) for o in sorted(late, key=lambda o: -latencies[o.index])],
        )


def _within(values: Iterable[tuple[int, float]], spans: tuple[Interval, ...]) -> list[float]:
    return [value for time_ns, value in values if any(s.start_ns <= time_ns <= s.end_ns for s in spans)]
