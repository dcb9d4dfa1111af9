"""No acknowledged write is lost and none happens twice: the clients' ledger against the store."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from chaos.checkers.anomalies import Anomaly, Coverage, concluded, final_count, named, refused
from chaos.clock import NS_PER_S
from chaos.history import History, Operation, Outcome
from chaos.results.model import Finding, Verdict


@dataclass(frozen=True, kw_only=True, slots=True)
class Ledger:
    """Every acknowledged *operation* is in the store exactly once, every refused one not at all.

    The operation's value names the element, unique within the run; ``History.final`` tells how
    often each element is there after healing. An operation of unknown outcome may be there once or
    not at all.

    Attributes:
        operation: what puts an element into the store.
        resolved: no outcome may stay unknown: clients retry until they know.
        removes: what takes the element out that its value names; once that is acknowledged it
            stays away.
        reads: what answers with a list of all elements. Tells how long an acknowledged element
            took until no later read lacked it. Without ``History.final`` an element is lost when a
            read that began after its acknowledgement lacks it, and none that may be later has it.
        visible_within_s: how long that may take.
    """

    operation: str
    resolved: bool = False
    removes: str | None = None
    reads: str | None = None
    visible_within_s: float | None = None

    def __call__(self, history: History) -> Finding:
        """Judge *history*; INVALID without a read of the store or with values that are not unique.

        Raises:
            HistoryError: a read returned no list, or an element is there less than no times.
        """
        operations = history.of(self.operation)
        check = f"no acknowledged {self.operation} is lost or doubled"
        reads = _snapshots(history.of(self.reads)) if self.reads else []
        if problem := _problem(history, reads, operations):
            return Finding(check=check, verdict=Verdict.INVALID, says=problem, checked=0)
        removed = _removals(history.of(self.removes) if self.removes else ())
        elements = [_Element.of(o, history.final, reads, removed) for o in operations]
        anomalies = [a for e in elements for a in (*_at_rest(e), *_in_reads(e), *self._in_time(e))]
        visible_s = [e.visible_s for e in elements if e.visible_s is not None]
        coverage = Coverage.of(
            history, operations, sum(e.looked_for for e in elements), "were acknowledged and looked for afterwards"
        )
        return concluded(
            check,
            history,
            coverage,
            anomalies,
            {
                "acknowledged": sum(o.outcome is Outcome.OK for o in operations),
                **({"visible_s": max(visible_s)} if visible_s else {}),
            },
        )

    def _in_time(self, element: _Element) -> Iterator[Anomaly]:
        """Whether its outcome is known, and whether it was visible soon."""
        if element.added.outcome is Outcome.INFO and self.resolved:
            yield element.anomaly("never resolved", "nobody ever learned what became of it")
        seconds = element.visible_s
        if seconds is not None and self.visible_within_s is not None and seconds > self.visible_within_s:
            says = f"a read lacked it {seconds:.3f} s after that, {self.visible_within_s:g} s allowed"
            yield element.anomaly("visible late", says)


Snapshots = Sequence[tuple[Operation, Mapping[str, int]]]


@dataclass(frozen=True, kw_only=True, slots=True)
class _Element:
    """What is known of one element.

    Attributes:
        added: what put it in.
        gone: what took it out or may have, and did not end before.
        final: how often it is in the store after healing; None if that was not read.
        having, lacking: the reads that found it, and those that should have and did not.
        looked_for: whether it was acknowledged, and the store read after that.
        most: how often it is in the read that has it most often.
    """

    added: Operation
    gone: Sequence[Operation]
    final: int | None
    having: Sequence[Operation]
    lacking: Sequence[Operation]
    looked_for: bool
    most: int

    @classmethod
    def of(
        cls,
        added: Operation,
        final: Mapping[str, int] | None,
        reads: Snapshots,
        removed: Mapping[str, Sequence[Operation]],
    ) -> _Element:
        name = str(added.written)
        gone = [r for r in removed.get(name, ()) if r.end_ns >= added.start_ns]
        gone_ns = min((r.start_ns for r in gone), default=None)
        known = added.outcome is Outcome.OK
        later = [(r, held) for r, held in reads if known and added.end_ns < r.start_ns]
        return cls(
            added=added,
            gone=gone,
            final=None if final is None else final_count(final, name),
            having=[r for r, held in reads if held.get(name)],
            lacking=[r for r, held in later if not held.get(name) and (gone_ns is None or r.end_ns < gone_ns)],
            looked_for=bool(later) or (known and final is not None),
            most=max((held.get(name, 0) for _, held in reads), default=0),
        )

    @property
    def visible_s(self) -> float | None:
        """How long after its acknowledgement reads lacked it; None when that says nothing."""
        if self.added.outcome is not Outcome.OK or self.gone or not (self.having or self.lacking):
            return None
        last_ns = max((r.start_ns for r in self.lacking), default=self.added.end_ns)
        return (last_ns - self.added.end_ns) / NS_PER_S

    def anomaly(self, name: str, says: str, *others: Operation) -> Anomaly:
        return Anomaly(name, f"{named(self.added)} of {self.added.written!r}: {says}", (self.added, *others))


def _at_rest(element: _Element) -> Iterator[Anomaly]:
    """What is wrong in the store after healing."""
    added, present = element.added, element.final
    back = [r for r in element.gone if r.outcome is Outcome.OK and added.end_ns < r.start_ns]
    if present is None:
        return
    if present > 1:
        yield element.anomaly("doubled", f"it is in the store {present} times")
    elif added.outcome is Outcome.OK and not present and not element.gone:
        yield element.anomaly("lost acknowledged write", "it was acknowledged and is not in the store")
    elif added.outcome is Outcome.FAIL and present:
        yield element.anomaly("refused but done", "it was refused and is in the store")
    elif present and back:
        yield element.anomaly("resurrected", f"it is in the store although {named(back[0])} removed it", back[0])


def _in_reads(element: _Element) -> Iterator[Anomaly]:
    """What reads show that is wrong; that it is lost, only where no final read decides."""
    added, having = element.added, element.having
    if element.most > 1:
        yield element.anomaly("doubled in a read", f"a read found it {element.most} times", *having[:1])
    if having and added.outcome is Outcome.FAIL:
        yield element.anomaly("aborted read", f"it was refused and {named(having[0])} found it", having[0])
    if early := [r for r in having if r.end_ns < added.start_ns]:
        yield element.anomaly("future read", f"{named(early[0])} found it before it was sent", early[0])
    for remove in element.gone:
        back = [r for r in having if remove.outcome is Outcome.OK and added.end_ns < remove.start_ns]
        if back := [r for r in back if remove.end_ns < r.start_ns]:
            says = f"{named(remove)} removed it and {named(back[0])} found it"
            yield element.anomaly("resurrected in a read", says, remove, back[0])
            break
    last = max(element.lacking, key=lambda r: r.start_ns, default=None)
    if element.final is None and last and max((r.end_ns for r in having), default=-1) < last.start_ns:
        says = f"it was acknowledged, {named(last)} lacked it, and no later read found it"
        yield element.anomaly("lost acknowledged write", says, last)


def _snapshots(reads: Sequence[Operation]) -> Snapshots:
    """The ok *reads* by their start, and how often each element is in them."""
    found = []
    for read in reads:
        if read.outcome is Outcome.OK:
            if not isinstance(read.value, list | tuple):
                raise refused(read, f"returned {read.value!r}, expected a list of elements")
            found.append((read, Counter(str(element) for element in read.value)))
    return sorted(found, key=lambda item: item[0].start_ns)


def _removals(removes: Sequence[Operation]) -> Mapping[str, list[Operation]]:
    """By element, what took it out or may have."""
    found: dict[str, list[Operation]] = defaultdict(list)
    for remove in removes:
        if remove.outcome is not Outcome.FAIL:
            found[str(remove.written)].append(remove)
    return found


def _problem(history: History, reads: Snapshots, operations: tuple[Operation, ...]) -> str | None:
    if history.final is None and not reads:
        return "the store was not read after healing"
    doubled = [value for value, n in Counter(str(o.written) for o in operations).items() if n > 1]
    return f"values are not unique: {doubled[:3]!r} were sent more than once" if doubled else None
