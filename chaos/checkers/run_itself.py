"""Whether the run can be trusted at all: load on time, platform well before and after the fault."""

from __future__ import annotations

from dataclasses import dataclass, replace

from chaos.checkers.clients import Succeeds
from chaos.checkers.finding import judged, percentile, told
from chaos.checkers.moments import AtTheEnd, BeforeFaults
from chaos.clock import NS_PER_MS
from chaos.history import History
from chaos.results.model import Finding, Verdict


@dataclass(frozen=True, kw_only=True, slots=True)
class KeptSchedule:
    """The p99 request left at most *late_ms* after its moment; else the lab itself was overloaded."""

    late_ms: float = 100.0

    def __call__(self, history: History) -> Finding:
        """INCONCLUSIVE when it did not."""
        late = [(o.start_ns - o.intended_ns) / NS_PER_MS for o in history.operations]
        name, value = percentile(late, 99)
        latest = sorted(history.operations, key=lambda o: o.intended_ns - o.start_ns)
        finding = judged(
            "the load kept its schedule",
            holds=value <= self.late_ms,
            checked=len(late),
            says=f"{name} of {len(late)} requests left {value:.1f} ms late, {self.late_ms:g} ms allowed",
            measured={"late_ms": value},
            witness=[told(o, history) for o in latest],
        )
        return replace(finding, verdict=Verdict.INCONCLUSIVE) if finding.verdict is Verdict.REFUTED else finding


@dataclass(frozen=True, kw_only=True, slots=True)
class SteadyBefore:
    """At least *share* of *operation* succeeds before the fault; else the fault proves nothing."""

    operation: str
    share: float

    def __call__(self, history: History) -> Finding:
        """INVALID when it does not; what the fault caught under way does not count."""
        until_ns = min((fault.sent_ns for fault in history.faults), default=history.end_ns)
        earlier = replace(history, operations=tuple(o for o in history.operations if o.answered_ns < until_ns))
        finding = Succeeds(operation=self.operation, at_least=self.share, during=BeforeFaults())(earlier)
        return replace(finding, verdict=Verdict.INVALID) if finding.verdict is Verdict.REFUTED else finding


@dataclass(frozen=True, kw_only=True, slots=True)
class SteadyAfter:
    """At least *share* of *operation* succeeds in the last second, without any restart."""

    operation: str
    share: float

    def __call__(self, history: History) -> Finding:
        """REFUTED when it does not."""
        return Succeeds(operation=self.operation, at_least=self.share, during=AtTheEnd())(history)
