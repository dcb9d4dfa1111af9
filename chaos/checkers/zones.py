"""Zones of a register: the arithmetic under the register and the staleness checker.

All operations on one value of one key are a cluster. With ``first`` the earliest end and ``last``
the latest start in it, cluster i must come before cluster j iff ``first[i] < last[j]``. A history of
unique values is atomic iff no two clusters must each come before the other (Gibbons & Korach,
Testing Shared Memories, SIAM J. Comput. 26(4), 1997). O(n log n).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from chaos.errors import HistoryError
from chaos.history.columns import OUTCOMES, Columns, Ints
from chaos.history.entries import Outcome

BEFORE_ALL: Final = -1
"""When an initial value was written."""

_OK, _FAIL = OUTCOMES.index(Outcome.OK), OUTCOMES.index(Outcome.FAIL)
Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Clusters:
    """The clusters of a history: one for each write, then one for each used key's initial value.

    Attributes:
        key: code of the key.
        write: row of the write; -1 for an initial value.
        written: when the write started.
        first: earliest end of its operations.
        last_read: latest start of its reads; BEFORE_ALL without reads.
        reads, of: rows of the reads that are explained by a write, and the cluster of each.
        garbage, aborted, future: rows of reads of a value that nobody wrote, whose write failed,
            whose write had not started.
        could_be_stale: how many reads started when an older value of their key existed.
        judged: rows of all operations that were looked at.
    """

    key: Ints
    write: Ints
    written: Ints
    first: Ints
    last_read: Ints
    reads: Ints
    of: Ints
    garbage: Ints
    aborted: Ints
    future: Ints
    could_be_stale: int
    judged: Ints

    @property
    def last(self) -> Ints:
        """Latest start of a cluster's operations."""
        return np.maximum(self.written, self.last_read)

    def rows(self, cluster: int) -> Ints:
        """The rows of all operations of *cluster*."""
        reads = self.reads[self.of == cluster]
        return reads if self.write[cluster] < 0 else np.append(self.write[cluster], reads)


def clusters(columns: Columns, writes: Mask, reads: Mask, initial: object) -> Clusters:
    """Group the operations of *columns* into clusters; reads that are not ok say nothing.

    Raises:
        HistoryError: a value was written twice to one key, or the initial value was written.
    """
    w, r = np.flatnonzero(writes), np.flatnonzero(reads & (columns.outcome == _OK))
    width = len(columns.values)
    code = columns.code(initial)
    cells = columns.key[w] * width + columns.wrote[w]
    order = np.argsort(cells, kind="stable")
    w, cells = w[order], cells[order]
    _unique(columns, w, cells, code)
    value = columns.value[r]
    place = np.searchsorted(cells, columns.key[r] * width + value)
    known = np.zeros(len(r), dtype=bool)
    inside = place < len(cells)
    known[inside] = cells[place[inside]] == (columns.key[r] * width + value)[inside]
    used = np.bincount(np.append(columns.key[w], columns.key[r]), minlength=len(columns.keys)) > 0
    is_initial = value == code
    of = np.where(is_initial, len(w) + (np.cumsum(used) - 1)[columns.key[r]], place)
    return _measured(columns, w, r, of, known | is_initial, np.flatnonzero(used))


def _unique(columns: Columns, w: Ints, cells: Ints, initial: int) -> None:
    twice = np.flatnonzero(cells[1:] == cells[:-1])
    if len(twice):
        first, second = columns.operation(w[twice[0]]), columns.operation(w[twice[0] + 1])
        msg = (
            f"history.jsonl line {second.index + 1}: {second.operation} #{second.index} writes {second.wrote!r} to key "
            f"{second.key!r} as #{first.index} does; a register is judged by unique values: make the workload's unique"
        )
        raise HistoryError(msg)
    again = np.flatnonzero(columns.wrote[w] == initial)
    if len(again):
        found = columns.operation(w[again[0]])
        msg = (
            f"history.jsonl line {found.index + 1}: {found.operation} #{found.index} writes {found.wrote!r}, "
            "the initial value; a register is judged by unique values: say another initial value"
        )
        raise HistoryError(msg)


def _measured(columns: Columns, w: Ints, r: Ints, of: Ints, known: Mask, keys: Ints) -> Clusters:
    count = len(w) + len(keys)
    initials = np.full(len(keys), BEFORE_ALL, dtype=np.int64)
    written = np.append(columns.start[w], initials)
    failed = np.append(columns.outcome[w] == _FAIL, np.zeros(len(keys), dtype=bool))
    where = np.minimum(of, max(count - 1, 0))
    aborted = known & failed[where]
    future = known & ~aborted & (columns.end[r] < written[where])
    sound = known & ~aborted & ~future
    first = np.append(columns.end[w], initials)
    last_read = np.full(count, BEFORE_ALL, dtype=np.int64)
    # What never happened neither orders nor is ordered.
    first[failed] = np.iinfo(np.int64).max
    np.minimum.at(first, of[sound], columns.end[r[sound]])
    np.maximum.at(last_read, of[sound], columns.start[r[sound]])
    return Clusters(
        key=np.append(columns.key[w], keys),
        write=np.append(w, np.full(len(keys), -1, dtype=np.int64)),
        written=written,
        first=first,
        last_read=last_read,
        reads=r[sound],
        of=of[sound],
        garbage=r[~known],
        aborted=r[aborted],
        future=r[future],
        could_be_stale=_could_be_stale(columns, w, r),
        judged=np.sort(np.append(w, r)),
    )


def _could_be_stale(columns: Columns, w: Ints, r: Ints) -> int:
    """Reads that started after a write of their key had been acknowledged: an older value exists."""
    replaced = np.full(len(columns.keys), np.iinfo(np.int64).max)
    done = w[columns.outcome[w] == _OK]
    np.minimum.at(replaced, columns.key[done], columns.end[done])
    return int(np.count_nonzero(columns.start[r] > replaced[columns.key[r]]))


@dataclass(frozen=True, slots=True, eq=False)
class Zones:
    """Clusters in the order that finds conflicts in one pass, for any latest starts.

    Attributes:
        order: clusters by key and ``first``.
        first: their earliest ends, keys moved so far apart that they never meet.
    """

    order: Ints
    first: Ints
    shift: Ints

    @classmethod
    def of(cls, key: Ints, first: Ints) -> Zones:
        """The zones of clusters with *key* and earliest end *first*."""
        order = np.lexsort((first, key))
        return cls(order, first[order], key[order])

    def conflicts(self, last: Ints) -> tuple[Ints, Ints]:
        """Pairs of clusters, each of which must come before the other, at most one pair for each.

        Args:
            last: latest start of each cluster.
        """
        last = last[self.order]
        begins, ends = _ranked(self.shift, self.first, last)
        highest = np.maximum.accumulate(ends)
        holder = np.maximum.accumulate(np.where(ends == highest, np.arange(len(ends)), 0))
        # A forward zone looks at those that begin before it, a backward one at those that begin
        # before its low end; in both cases it is not among them itself.
        forward = begins < ends
        before = np.where(forward, np.arange(len(ends)), np.searchsorted(begins, ends)) - 1
        partner = holder[np.maximum(before, 0)]
        hit = np.flatnonzero((before >= 0) & (highest[np.maximum(before, 0)] > begins))
        return self.order[partner[hit]], self.order[hit]


def _ranked(key: Ints, first: Ints, last: Ints) -> tuple[Ints, Ints]:
    """*first* and *last* as ranks, each key's above those of the keys before it."""
    if len(key) == 0 or key[0] == key[-1]:
        return first, last
    _, ranks = np.unique(np.append(first, last), return_inverse=True)
    width = int(ranks.max()) + 1
    return key * width + ranks[: len(first)], key * width + ranks[len(first) :]
