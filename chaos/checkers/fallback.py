"""What stands in for a dependency that is away: old answers, marked as such, within a bound."""

from __future__ import annotations

from dataclasses import dataclass, field

from chaos.checkers.clients import STALE
from chaos.checkers.finding import judged, told
from chaos.checkers.moments import DuringFaults, Moments, sent_in
from chaos.history import History, Outcome
from chaos.results.model import Finding


@dataclass(frozen=True, kw_only=True, slots=True)
class ServesStale:
    """At least a share *at_least* of the answers in *during* is marked stale, none older than *at_most_s*.

    An answer that is marked stale and does not say its age counts as too old.
    """

    operation: str
    at_most_s: float
    at_least: float = 0.5
    during: Moments = field(default_factory=DuringFaults)

    def __call__(self, history: History) -> Finding:
        """Judge *history* by what the answers say of themselves (``X-Cache``, ``Age``)."""
        sent = [o for o in sent_in(history.of(self.operation), self.during(history)) if o.outcome is Outcome.OK]
        stale = [o for o in sent if o.source == STALE]
        too_old = [o for o in stale if o.age_s is None or o.age_s > self.at_most_s]
        share = len(stale) / len(sent) if sent else 0.0
        oldest = max((o.age_s for o in stale if o.age_s is not None), default=0.0)
        return judged(
            f"{self.operation} falls back to a bounded age {self.during}",
            holds=share >= self.at_least and not too_old,
            checked=len(sent),
            says=f"{share:.1%} of {len(sent)} answers were stale, at least {self.at_least:.1%} expected; "
            f"the oldest was {oldest:g} s old, {self.at_most_s:g} s allowed",
            measured={"stale_share": share, "oldest_s": oldest, "too_old": len(too_old)},
            witness=[told(o, history) for o in too_old],
        )
