"""No acknowledged write is lost and none happens twice: the clients' ledger against the store."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from chaos.checkers.finding import judged, told
from chaos.history import History, Operation, Outcome
from chaos.results.model import Finding, Verdict


@dataclass(frozen=True, kw_only=True, slots=True)
class Ledger:
    """Every acknowledged *operation* is in the store exactly once, every refused one not at all.

    The operation's value names the element, unique within the run; ``History.final`` tells how
    often each element is there after healing. An operation of unknown outcome may be there once or
    not at all. With *resolved*, no outcome may stay unknown: clients retry until they know.
    """

    operation: str
    resolved: bool = False

    def __call__(self, history: History) -> Finding:
        """Judge *history*; INVALID without a final read or with values that are not unique."""
        operations = history.of(self.operation)
        check = f"no acknowledged {self.operation} is lost or doubled"
        if problem := _problem(history, operations):
            return Finding(check=check, verdict=Verdict.INVALID, says=problem, checked=0)
        wrong = [
            (fault, o) for o in operations if (fault := self._anomaly(o, (history.final or {}).get(str(o.value), 0)))
        ]
        counts = Counter(fault for fault, _ in wrong)
        acknowledged = sum(o.outcome is Outcome.OK for o in operations)
        anomalies = ", ".join(f"{n} {fault}" for fault, n in counts.items()) or "none lost, none doubled"
        return judged(
            check,
            holds=not wrong,
            checked=len(operations),
            says=f"{len(operations)} sent, {acknowledged} acknowledged, "
            f"{self._present(history, operations)} in the store: {anomalies}",
            measured={"acknowledged": acknowledged, **{f"{k.replace(' ', '_')}": v for k, v in counts.items()}},
            witness=[f"{fault}: value {o.value!r}: {told(o, history)}" for fault, o in wrong],
        )

    def _anomaly(self, operation: Operation, present: int) -> str | None:
        if present > 1:
            return "doubled"
        if operation.outcome is Outcome.OK and not present:
            return "lost acknowledged write"
        if operation.outcome is Outcome.FAIL and present:
            return "refused but done"
        if operation.outcome is Outcome.INFO and self.resolved:
            return "never resolved"
        return None

    @staticmethod
    def _present(history: History, operations: tuple[Operation, ...]) -> int:
        final = history.final or {}
        return sum(final.get(str(o.value), 0) for o in operations)


def _problem(history: History, operations: tuple[Operation, ...]) -> str | None:
    if history.final is None:
        return "the store was not read after healing"
    doubled = [value for value, n in Counter(o.value for o in operations).items() if n > 1]
    return f"values are not unique: {doubled[:3]!r} were sent more than once" if doubled else None
