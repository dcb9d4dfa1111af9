"""How stale the reads of a register were: the least bound that explains the history."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from chaos.checkers.anomalies import Anomaly, concluded, named
from chaos.checkers.register import coverage, unexplained
from chaos.checkers.zones import Clusters, Zones, clusters
from chaos.clock import NS_PER_MS
from chaos.history import History
from chaos.history.columns import Columns, Ints
from chaos.results.model import Finding


@dataclass(frozen=True, kw_only=True, slots=True)
class Staleness:
    """No read returns a value that was replaced more than *within_ms* before the read began.

    The least such bound is found by bisection over the zones, the starts of reads moved back
    (Golab, Li & Shah, Analyzing Consistency Properties for Fun and Profit, PODC 2011); 0 is an
    atomic register. Reads of values that were never there are not explained by any bound.

    Attributes:
        within_ms: the bound; ``measured["staleness_ms"]`` is the least that explains the history.
        reads, writes, initial: as in ``Register``.
    """

    within_ms: float
    reads: tuple[str, ...] = ("read",)
    writes: tuple[str, ...] = ("write",)
    initial: Any = None

    def __call__(self, history: History) -> Finding:
        """Judge *history*.

        Raises:
            HistoryError: a value was written twice to one key; names the lines.
        """
        return self.of_columns(Columns.of(history.operations), history)

    def of_columns(self, columns: Columns, history: History) -> Finding:
        """Judge *columns*; *history* has the faults and samples that were there meanwhile."""
        found = clusters(columns, columns.of_kinds(self.writes), columns.of_kinds(self.reads), self.initial)
        bound_ns = least_bound(found)
        anomalies = list(unexplained(columns, history, found))
        if bound_ns > self.within_ms * NS_PER_MS:
            anomalies.append(self._stale(columns, found, bound_ns))
        return concluded(
            f"reads are at most {self.within_ms:g} ms stale",
            history,
            coverage(columns, history, found),
            anomalies,
            {"staleness_ms": bound_ns / NS_PER_MS},
        )

    def _stale(self, columns: Columns, found: Clusters, bound_ns: int) -> Anomaly:
        """The conflict that a bound one nanosecond smaller leaves."""
        one, other = Zones.of(found.key, found.first).conflicts(_moved(found, bound_ns - 1))
        pair = sorted((int(one[0]), int(other[0])), key=lambda cluster: found.written[cluster])
        read = _latest_read(columns, found, pair[0])
        newer = found.rows(pair[1])
        proof = columns.operation(newer[np.argmin(columns.end[newer])])
        says = (
            f"{named(columns.operation(read))} returned {columns.operation(read).value!r}, which had been replaced for "
            f"{bound_ns / NS_PER_MS:.3f} ms ({named(proof)} had shown {proof.value!r}); {self.within_ms:g} ms allowed"
        )
        return Anomaly("stale beyond bound", says, (proof, columns.operation(read)))


def least_bound(found: Clusters) -> int:
    """The least number of nanoseconds by which the reads of *found* must have begun earlier."""
    zones = Zones.of(found.key, found.first)

    def explained(bound_ns: int) -> bool:
        return len(zones.conflicts(_moved(found, bound_ns))[0]) == 0

    low, high = -1, int(max(found.last_read.max(initial=0), 0)) + 1
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if explained(middle) else (middle, high)
    return high


def _moved(found: Clusters, bound_ns: int) -> Ints:
    return np.maximum(found.written, found.last_read - bound_ns)


def _latest_read(columns: Columns, found: Clusters, cluster: int) -> int:
    rows = found.reads[found.of == cluster]
    return int(rows[np.argmax(columns.start[rows])])
