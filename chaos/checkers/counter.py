"""A counter counts every increment once: what is read lies between what must and what may be in it."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate

from chaos.checkers.anomalies import Anomaly, Coverage, by_key, concluded, named, refused
from chaos.history import NEVER, History, Operation, Outcome
from chaos.results.model import Finding


@dataclass(frozen=True, kw_only=True, slots=True)
class Counter:
    """Every read of a counter lies between the increments that must and those that may be in it.

    Acknowledged before the read began: must. Begun before the read ended, and not refused: may.
    Exact for each single read when increments are by one. ``History.final``, if there, is a read
    after everything; a key that it does not name holds *initial*. O(n log n). A ledger of operation
    ids (``Ledger``) sees more.

    Attributes:
        increments: the operations that are sent with the amount, at least 0.
        reads: the operations whose answer carries the count.
        initial: what a key holds at first.
    """

    increments: tuple[str, ...] = ("increment",)
    reads: tuple[str, ...] = ("read",)
    initial: int = 0

    def __call__(self, history: History) -> Finding:
        """Judge *history*.

        Raises:
            HistoryError: an amount or a count is no integer, or an amount is negative.
        """
        operations = history.of(*self.increments, *self.reads)
        anomalies, exercised = list[Anomaly](), 0
        for key, group in by_key(operations).items():
            reads = [o for o in group if o.operation in self.reads and o.outcome is Outcome.OK]
            added = [_checked(o) for o in group if o.operation in self.increments and o.outcome is not Outcome.FAIL]
            final = None if history.final is None else history.final.get(str(key), self.initial)
            first_ns = min((o.start_ns for o in added), default=NEVER)
            exercised += sum(r.end_ns >= first_ns for r in reads) + bool(added and final is not None)
            anomalies += self._key(added, reads, final)
        coverage = Coverage.of(history, operations, exercised, "were reads of a counter that had been incremented")
        return concluded("every increment is counted once", history, coverage, anomalies)

    def _key(self, added: Sequence[Operation], reads: Sequence[Operation], final: int | None) -> Iterator[Anomaly]:
        bounds = _Bounds(added)
        for read in reads:
            if type(read.value) is not int:
                raise refused(read, f"returned {read.value!r}, expected an integer")
            low, high = bounds.at(read.start_ns, read.end_ns)
            yield from _judged(named(read), read.value - self.initial, low, high, (read,))
        if final is not None:
            yield from _judged("the final read", final - self.initial, *bounds.at(NEVER, NEVER), tuple(added[:4]))


class _Bounds:
    """Sums of increments by the time they ended and by the time they began."""

    def __init__(self, added: Sequence[Operation]) -> None:
        acknowledged = sorted((o.end_ns, o.written) for o in added if o.outcome is Outcome.OK)
        begun = sorted((o.start_ns, o.written) for o in added)
        self._ends, self._starts = [end for end, _ in acknowledged], [start for start, _ in begun]
        self._must = list(accumulate((n for _, n in acknowledged), initial=0))
        self._may = list(accumulate((n for _, n in begun), initial=0))

    def at(self, start_ns: int, end_ns: int) -> tuple[int, int]:
        """The least and the most that a read from *start_ns* to *end_ns* may return."""
        return self._must[bisect_left(self._ends, start_ns)], self._may[bisect_right(self._starts, end_ns)]


def _judged(who: str, count: int, low: int, high: int, witness: tuple[Operation, ...]) -> Iterator[Anomaly]:
    if not low <= count <= high:
        name = "lost increment" if count < low else "double apply"
        says = f"{who} counted {count} where at least {low} was acknowledged and at most {high} was sent"
        yield Anomaly(name, says, witness)


def _checked(increment: Operation) -> Operation:
    if type(increment.written) is not int or increment.written < 0:
        raise refused(increment, f"adds {increment.written!r}, expected an integer of at least 0")
    return increment
