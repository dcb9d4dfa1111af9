"""A register is atomic: every read returns the latest write, for some order that time allows."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from chaos.checkers.anomalies import Anomaly, Coverage, at, concluded, named
from chaos.checkers.zones import Clusters, Zones, clusters
from chaos.history import History, Operation
from chaos.history.columns import Columns, Ints
from chaos.results.model import Finding


@dataclass(frozen=True, kw_only=True, slots=True)
class Register:
    """Each key is an atomic register (linearizable), judged in O(n log n) by zones.

    Every write needs a value that is unique for its key. A write of unknown outcome may take
    effect at any later time or never; a read that is not ok says nothing.

    Attributes:
        reads: the operations whose answer carries the value read.
        writes: the operations that are sent with the value to write.
        initial: what a key holds before its first write.
    """

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
        pairs = Zones.of(found.key, found.first).conflicts(found.last)
        anomalies = [*unexplained(columns, history, found), *_conflicts(columns, history, found, *pairs)]
        return concluded("every key is an atomic register", history, coverage(columns, history, found), anomalies)


def coverage(columns: Columns, history: History, found: Clusters) -> Coverage:
    """What of *columns* could have shown an anomaly."""
    overlapping = np.zeros(len(columns.start), dtype=bool)
    for fault in history.faults:
        overlapping |= (columns.start <= fault.healed_ns) & (columns.answered >= fault.sent_ns)
    return Coverage(
        operations=len(found.judged),
        overlapping=int(np.count_nonzero(overlapping[found.judged])),
        exercised=found.could_be_stale,
        exercises="were reads that could have seen an old value",
    )


def unexplained(columns: Columns, history: History, found: Clusters) -> Iterator[Anomaly]:
    """Reads of values that were not there to be read; one anomaly for each name."""
    reasons = {
        "garbage read": (found.garbage, "nobody wrote"),
        "aborted read": (found.aborted, "was refused"),
        "future read": (found.future, "had not begun"),
    }
    for name, (rows, reason) in reasons.items():
        if not len(rows):
            continue
        read = columns.operation(rows[0])
        write = _write(columns, found, read)
        although = reason if write is None else f"{named(write)}, which wrote it, {reason}"
        says = f"{named(read)} returned {read.value!r} at {at(read.end_ns, history)}, although {although}"
        yield Anomaly(name, says, (read,) if write is None else (write, read), len(rows))


def _write(columns: Columns, found: Clusters, read: Operation) -> Operation | None:
    """The write whose value *read* returned."""
    rows = found.write[found.write >= 0]
    same = (columns.wrote[rows] == columns.code(read.value)) & (columns.key[rows] == columns.keys.index(read.key))
    return next((columns.operation(row) for row in rows[same]), None)


def _conflicts(columns: Columns, history: History, found: Clusters, one: Ints, other: Ints) -> Iterator[Anomaly]:
    """Pairs of values each of which must come before the other; one anomaly for each name.

    One late read of an old value conflicts with every newer one, so conflicts are counted by the
    older value: nothing newer was ever read (lost write), something newer had been acknowledged
    when it was read again (stale read), or had only been seen by others (new-old inversion).
    """
    swap = found.written[one] > found.written[other]
    older, newer = np.where(swap, other, one), np.where(swap, one, other)
    was_read = found.last_read[newer] >= 0
    acknowledged = was_read & (columns.end[found.write[newer]] < found.last[older])
    by_name = {"stale read": acknowledged, "new-old inversion": was_read, "lost write": np.ones_like(was_read)}
    named_already = np.zeros(len(found.key), dtype=bool)
    for name, fits in by_name.items():
        places = np.flatnonzero(fits & ~named_already[older])
        if len(places):
            pair = name, int(older[places[0]]), int(newer[places[0]])
            yield _told(columns, history, found, pair, len(np.unique(older[places])))
        named_already[older[places]] = True


def _told(columns: Columns, history: History, found: Clusters, pair: tuple[str, int, int], times: int) -> Anomaly:
    """The four operations by which each of two clusters must come before the other."""
    name, older, newer = pair
    shown, read = _ends(columns, found, newer, older)
    # An initial value comes before everything by definition: nothing proves it.
    others = _ends(columns, found, older, newer) if found.write[older] >= 0 else ()
    write = columns.operation(found.write[newer])
    proof = write if name != "new-old inversion" else shown
    verb = "was acknowledged" if proof.index == write.index else "ended"
    says = (
        f"{named(read)} of {read.key!r} returned {read.value!r} at {at(read.end_ns, history)}, although "
        f"{named(proof)} of {write.wrote!r} {verb} at {at(proof.end_ns, history)}, before it started"
    )
    involved = {o.index: o for o in (shown, read, *others)}
    return Anomaly(name, says, tuple(involved[index] for index in sorted(involved)), times)


def _ends(columns: Columns, found: Clusters, first: int, second: int) -> tuple[Operation, Operation]:
    """The operation of *first* that ended earliest, the one of *second* that started latest."""
    mine, theirs = found.rows(first), found.rows(second)
    ended = mine[np.argmin(columns.end[mine])]
    return columns.operation(ended), columns.operation(theirs[np.argmax(columns.start[theirs])])
