"""One idempotency key, one effect, one answer."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from chaos.checkers.anomalies import Anomaly, Coverage, concluded, final_count, named, oks, refused
from chaos.history import History, Operation, Outcome
from chaos.history.columns import identity
from chaos.results.model import Finding, Verdict


@dataclass(frozen=True, kw_only=True, slots=True)
class Idempotency:
    """Each idempotency key of *operation* takes effect at most once, exactly once if acknowledged.

    And whoever sends the same key again gets the same answer (status and value).

    Attributes:
        operation: what is sent with idempotency keys.
        effects: what ``History.final`` counts effects by: the keys themselves, or the values sent.
    """

    operation: str
    effects: Literal["idempotency_key", "value"] = "idempotency_key"

    def __call__(self, history: History) -> Finding:
        """Judge *history*; INVALID when the effects were not counted after healing, or no key was sent again.

        Raises:
            HistoryError: effects are counted by values of which two keys sent the same, or below 0.
        """
        check = f"every {self.operation} takes effect once"
        sent: dict[str, list[Operation]] = defaultdict(list)
        for operation in history.of(self.operation):
            if operation.idempotency_key is not None:
                sent[operation.idempotency_key].append(operation)
        if history.final is None:
            says = "the effects were not counted after healing"
            return Finding(check=check, verdict=Verdict.INVALID, says=says, checked=0)
        operations = [o for group in sent.values() for o in group]
        if self.effects == "value":
            _apart(operations)
        anomalies = [a for key, group in sent.items() for a in self._key(key, group, history.final)]
        again = [o for group in sent.values() for o in group if len(group) > 1 or o.attempts > 1]
        coverage = Coverage.of(history, operations, len(again), "sent their idempotency key again")
        keys = len({o.idempotency_key for o in again})
        return concluded(check, history, coverage, anomalies, {"keys": len(sent), "keys_sent_again": keys})

    def _key(self, key: str, group: Sequence[Operation], final: Mapping[str, int]) -> Iterator[Anomaly]:
        elements = {key} if self.effects == "idempotency_key" else {str(o.written) for o in group}
        effects = sum(final_count(final, element) for element in elements)
        acknowledged = oks(group)
        if effects > 1:
            yield Anomaly("double apply", f"key {key!r} took effect {effects} times", tuple(group))
        if acknowledged and not effects:
            says = f"{named(acknowledged[0])} with key {key!r} was acknowledged and had no effect"
            yield Anomaly("lost acknowledgement", says, tuple(acknowledged))
        if effects and all(o.outcome is Outcome.FAIL for o in group):
            yield Anomaly("refused but done", f"key {key!r} took effect although refused", tuple(group))
        answers = {(o.status, identity(o.value)): o for o in reversed(acknowledged)}
        if len(answers) > 1:
            says = f"key {key!r} was answered in {len(answers)} different ways"
            yield Anomaly("divergent response", says, tuple(answers.values()))


def _apart(operations: Sequence[Operation]) -> None:
    """Refuse a value that two keys sent: nobody could tell for which of them it took effect."""
    first: dict[str, Operation] = {}
    for operation in sorted(operations, key=lambda o: o.index):
        other = first.setdefault(str(operation.written), operation)
        if other.idempotency_key != operation.idempotency_key:
            keys = f"with key {operation.idempotency_key!r} as #{other.index} does with {other.idempotency_key!r}"
            raise refused(operation, f"sends {operation.written!r} {keys}; values must be unique")
