"""Whether the run can be trusted at all: load on time, platform well before and after the fault."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import numpy.typing as npt

from chaos.checkers.clients import Succeeds
from chaos.checkers.finding import WITNESSES_MAX, judged, percentile, told
from chaos.checkers.moments import AtTheEnd, BeforeFaults
from chaos.clock import NS_PER_MS
from chaos.history import History, Outcome
from chaos.history.columns import OUTCOMES, Columns
from chaos.results.model import Finding, Subject, Verdict

_OK: Final = OUTCOMES.index(Outcome.OK)


@dataclass(frozen=True, kw_only=True, slots=True)
class KeptSchedule:
    """The p99 request left at most *late_ms* after its moment; else the lab itself was overloaded."""

    late_ms: float = 100.0

    def __call__(self, history: History) -> Finding:
        """INCONCLUSIVE when it did not."""
        late = [(o.start_ns - o.intended_ns) / NS_PER_MS for o in history.operations]
        latest = sorted(history.operations, key=lambda o: o.intended_ns - o.start_ns)[:WITNESSES_MAX]
        return self._judged(late, [told(o, history) for o in latest])

    def of_columns(self, columns: Columns, history: History) -> Finding:
        """The same; a witness is told without its status."""
        late = (columns.start - columns.intended) / NS_PER_MS
        latest = np.argsort(-late, kind="stable")[:WITNESSES_MAX]
        return self._judged(np.sort(late).tolist(), [told(columns.operation(row), history) for row in latest])

    def _judged(self, late: Sequence[float], witness: Sequence[str]) -> Finding:
        name, value = percentile(late, 99)
        finding = judged(
            "the load kept its schedule",
            holds=value <= self.late_ms,
            checked=len(late),
            says=f"{name} of {len(late)} requests left {value:.1f} ms late, {self.late_ms:g} ms allowed",
            measured={"late_ms": value},
            witness=witness,
        )
        return _of_run(finding, Verdict.INCONCLUSIVE)


@dataclass(frozen=True, kw_only=True, slots=True)
class SteadyBefore:
    """At least *share* of *operation* succeeds before the fault; else the fault proves nothing."""

    operation: str
    share: float

    def __call__(self, history: History) -> Finding:
        """INVALID when it does not; what the fault caught under way does not count."""
        earlier = tuple(o for o in history.operations if o.answered_ns < _until_ns(history))
        return _of_run(self._succeeds(replace(history, operations=earlier)), Verdict.INVALID)

    def of_columns(self, columns: Columns, history: History) -> Finding:
        """The same; a witness is told without its status."""
        early = columns.answered < _until_ns(history)
        return _of_run(_succeeded(self._succeeds, columns, early, history), Verdict.INVALID)

    @property
    def _succeeds(self) -> Succeeds:
        return Succeeds(operation=self.operation, at_least=self.share, during=BeforeFaults())


@dataclass(frozen=True, kw_only=True, slots=True)
class SteadyAfter:
    """At least *share* of *operation* succeeds in the last second, without any restart."""

    operation: str
    share: float

    def __call__(self, history: History) -> Finding:
        """REFUTED when it does not."""
        return self._succeeds(history)

    def of_columns(self, columns: Columns, history: History) -> Finding:
        """The same; a witness is told without its status."""
        return _succeeded(self._succeeds, columns, np.ones(len(columns.start), dtype=bool), history)

    @property
    def _succeeds(self) -> Succeeds:
        return Succeeds(operation=self.operation, at_least=self.share, during=AtTheEnd())


def _until_ns(history: History) -> int:
    return min((fault.sent_ns for fault in history.faults), default=history.end_ns)


def _of_run(finding: Finding, doubt: Verdict) -> Finding:
    """*finding* about the run: where it does not hold, nothing is refuted, but the run in *doubt*."""
    verdict = doubt if finding.verdict is Verdict.REFUTED else finding.verdict
    return replace(finding, verdict=verdict, about=Subject.RUN)


def _succeeded(succeeds: Succeeds, columns: Columns, looked_at: npt.NDArray[np.bool_], history: History) -> Finding:
    """What *succeeds* says of the rows that are *looked_at*."""
    inside = np.zeros(len(columns.start), dtype=bool)
    for moment in succeeds.during(history):
        inside |= (columns.start >= moment.start_ns) & (columns.start <= moment.end_ns)
    sent = np.flatnonzero(inside & looked_at & columns.of_kinds((succeeds.operation,)))
    failed = sent[columns.outcome[sent] != _OK]
    witness = [told(columns.operation(row), history) for row in failed[:WITNESSES_MAX]]
    return succeeds.finding(len(sent), len(failed), witness)
