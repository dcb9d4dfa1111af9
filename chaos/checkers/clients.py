"""What the clients saw: did it work, how long did it take, what did it say, when was it back."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field

from chaos.checkers.finding import WITNESSES_MAX, judged, percentile, told
from chaos.checkers.moments import DuringFaults, Interval, Moments, Throughout, sent_in
from chaos.checkers.recovery import recovered
from chaos.clock import NS_PER_MS
from chaos.history import HICCUP, History, Operation, Outcome
from chaos.results.model import Finding

STALE = "stale"


@dataclass(frozen=True, kw_only=True, slots=True)
class Succeeds:
    """At least a share *at_least* of the operations sent in *during* is ok.

    With *fresh*, an answer that is marked stale does not count.
    """

    operation: str
    at_least: float
    fresh: bool = False
    during: Moments = field(default_factory=Throughout)

    def __call__(self, history: History) -> Finding:
        """Judge *history*."""
        sent = sent_in(history.of(self.operation), self.during(history))
        failed = [o for o in sent if o.outcome is not Outcome.OK or (self.fresh and o.source == STALE)]
        return self.finding(len(sent), len(failed), [told(o, history) for o in failed[:WITNESSES_MAX]])

    def finding(self, sent: int, failed: int, witness: Sequence[str]) -> Finding:
        """What it means that *failed* of *sent* operations did not succeed."""
        share = 1 - failed / sent if sent else 0.0
        return judged(
            f"{self.operation} succeeds{' freshly' if self.fresh else ''} {self.during}",
            holds=share >= self.at_least,
            checked=sent,
            says=f"{share:.1%} of {sent} succeeded, at least {self.at_least:.1%} expected",
            measured={"success_share": share},
            witness=witness,
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class Faster:
    """The *percent* percentile of the latency in *during* is below *below_ms* milliseconds.

    Latency counts from the moment the schedule wanted the request sent, less the time in which the
    lab itself stood still and could not have seen an answer (after Gil Tene's jHiccup).
    ``percent=100`` is the slowest.
    """

    operation: str
    below_ms: float
    percent: float = 99
    during: Moments = field(default_factory=Throughout)

    def __call__(self, history: History) -> Finding:
        """Judge *history*."""
        sent = sent_in(history.of(self.operation), self.during(history))
        latencies = latencies_ms(sent, history)
        name, value = percentile(latencies.values(), self.percent)
        slowest = sorted(sent, key=lambda o: -latencies[o.index])
        return judged(
            f"{self.operation} is fast {self.during}",
            holds=value < self.below_ms,
            checked=len(sent),
            says=f"{name} of {len(sent)} was {value:.0f} ms, below {self.below_ms:g} ms expected",
            measured={"latency_ms": value},
            witness=[told(o, history) for o in slowest],
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class Answers:
    """Every operation sent in *during* is answered with one of *statuses*, all 503 with Retry-After."""

    operation: str
    statuses: Collection[int]
    during: Moments = field(default_factory=Throughout)

    def __call__(self, history: History) -> Finding:
        """Judge *history*."""
        sent = sent_in(history.of(self.operation), self.during(history))
        wrong = [o for o in sent if o.status not in self.statuses or (o.status == 503 and not o.retry_after)]  # noqa: PLR2004  (HTTP)
        expected = " or ".join(map(str, sorted(self.statuses)))
        return judged(
            f"{self.operation} answers {expected} {self.during}",
            holds=not wrong,
            checked=len(sent),
            says=f"{len(sent) - len(wrong)} of {len(sent)} answered {expected} (503 with Retry-After)",
            measured={"other_answers": len(wrong)},
            witness=[told(o, history) for o in wrong],
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class Unreachable:
    """No operation brings a fresh answer while the fault is in effect: the traffic is behind it.

    One that was still under way when the healing began may have got through after it.
    """

    operation: str
    settle_s: float = 0.2

    def __call__(self, history: History) -> Finding:
        """Judge *history*."""
        cut = DuringFaults(self.settle_s)(history)
        sent = [o for o in history.of(self.operation) if any(interval.holds(o) for interval in cut)]
        fresh = [o for o in sent if o.outcome is Outcome.OK and o.source != STALE]
        return judged(
            f"{self.operation} cannot reach its dependency during the fault",
            holds=not fresh,
            checked=len(sent),
            says=f"{len(fresh)} of {len(sent)} brought a fresh answer although the edge was cut, 0 expected",
            measured={"fresh_answers": len(fresh)},
            witness=[told(o, history) for o in fresh],
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class Recovers:
    """The first operation sent after healing that is ok ends at most *within_s* seconds after it."""

    operation: str
    within_s: float

    def __call__(self, history: History) -> Finding:
        """Judge *history*: every fault's healing for itself, the slowest counts; see ``recovered``."""
        good = [o for o in history.of(self.operation) if o.outcome is Outcome.OK]
        backs = [
            (fault, min((o.answered_ns for o in good if o.start_ns >= fault.healed_ns), default=None))
            for fault in history.faults
        ]
        return recovered(f"{self.operation} recovers", history, backs, self.within_s, "worked again")


def latencies_ms(operations: Iterable[Operation], history: History) -> dict[int, float]:
    """Latency by the index of each operation, in milliseconds, less the lab's own standstills."""
    hiccups = _hiccups(history)
    return {o.index: (o.latency_ns - _overlap(o, hiccups)) / NS_PER_MS for o in operations}


def _hiccups(history: History) -> list[Interval]:
    """When the lab itself stood still."""
    found = ((s.time_ns, s.values[HICCUP]) for s in history.samples if HICCUP in s.values)
    return [Interval(start_ns, start_ns + int(length_ms * NS_PER_MS)) for start_ns, length_ms in found]


def _overlap(operation: Operation, hiccups: Iterable[Interval]) -> int:
    """Nanoseconds of *operation*'s latency that fall into *hiccups*."""
    start, end = operation.intended_ns, operation.answered_ns
    return sum(max(0, min(end, h.end_ns) - max(start, h.start_ns)) for h in hiccups)
