"""Whether everybody is answered with what he asked for, and nobody with another's."""

from __future__ import annotations

from dataclasses import dataclass, field

from chaos.checkers.finding import judged, of_data, told
from chaos.checkers.moments import Moments, Throughout, sent_in
from chaos.history import History, Outcome
from chaos.results.model import Finding


@dataclass(frozen=True, kw_only=True, slots=True)
class OwnKey:
    """Every ok answer names the key that was asked for: no connection hands out another request's rows.

    The workload reads the key from the answer: ``Request(key=wid, reads=JsonField("id"), …)``. INVALID
    when it reads none.
    """

    operation: str
    during: Moments = field(default_factory=Throughout)

    def __call__(self, history: History) -> Finding:
        """Judge *history*."""
        answered = [o for o in sent_in(history.of(self.operation), self.during(history)) if o.outcome is Outcome.OK]
        named = any(o.value is not None for o in answered)
        crossed = [o for o in answered if o.value != o.key]
        return of_data(
            judged(
                f"{self.operation} is answered with its own key {self.during}",
                holds=not crossed,
                checked=len(answered) if named else 0,
                says=f"{len(crossed)} of {len(answered)} answers named another key than was asked for, 0 expected",
                measured={"crossed": len(crossed)},
                witness=[f"{told(o, history)}; asked for {o.key!r}, answered with {o.value!r}" for o in crossed],
            )
        )
