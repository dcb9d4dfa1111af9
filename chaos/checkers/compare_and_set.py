"""Compare-and-set on a register: every success replaces exactly the value that it expected."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from chaos.checkers.anomalies import Anomaly, Coverage, at, by_key, concluded, named, oks, refused, unique
from chaos.checkers.zones import BEFORE_ALL, Zones
from chaos.history import History, Operation, Outcome
from chaos.history.columns import identity
from chaos.results.model import Finding


@dataclass(frozen=True, kw_only=True, slots=True)
class CompareAndSet:
    """Each key is an atomic register with compare-and-set, judged in O(n log n).

    An acknowledged compare-and-set comes directly after the write of the value it expected: both
    are glued together into a chain, and chains are ordered by their zones like single values. An
    operation of unknown outcome happened when its value was seen.

    Attributes:
        swaps: the operations that are sent with [expected, new]; ``fail`` when refused.
        reads, writes, initial: as in ``Register``.
    """

    swaps: tuple[str, ...] = ("cas",)
    reads: tuple[str, ...] = ("read",)
    writes: tuple[str, ...] = ("write",)
    initial: Any = None

    def __call__(self, history: History) -> Finding:
        """Judge *history*.

        Raises:
            HistoryError: a new value was sent twice to one key, or is no pair.
        """
        operations = history.of(*self.swaps, *self.reads, *self.writes)
        anomalies = [a for group in by_key(operations).values() for a in self._key(history, group)]
        swapped = sum(o.operation in self.swaps for o in oks(operations))
        coverage = Coverage.of(history, operations, swapped, "were acknowledged compare-and-sets")
        return concluded("compare-and-set replaces what it expected", history, coverage, anomalies)

    def _key(self, history: History, operations: Sequence[Operation]) -> Iterator[Anomaly]:
        steps = {o.index: self._step(o) for o in operations if o.operation not in self.reads}
        makers = [o for o in operations if o.index in steps]
        unique(makers, lambda o: steps[o.index][1])
        for maker in makers:
            if steps[maker.index][1] == identity(self.initial):
                raise refused(maker, f"writes {self.initial!r}, the initial value; values must be unique")
        reads = [o for o in oks(operations) if o.operation in self.reads]
        chains = _Chains(history=history, steps=steps, initial=identity(self.initial))
        yield from chains.judge(makers, reads)

    def _step(self, operation: Operation) -> tuple[Hashable, Hashable]:
        """What *operation* expects, None for anything, and what it writes."""
        if operation.operation in self.writes:
            return None, identity(operation.written)
        try:
            expected, new = operation.written
        except (TypeError, ValueError):
            raise refused(operation, f"was sent with {operation.written!r}, expected [expected, new]") from None
        return identity(expected), identity(new)


@dataclass(kw_only=True)
class _Block:
    """The operations on one value, which nothing may come between: its maker first, then its reads."""

    maker: Operation | None
    reads: list[Operation] = field(default_factory=list)

    @property
    def all(self) -> list[Operation]:
        return self.reads if self.maker is None else [self.maker, *self.reads]


@dataclass(kw_only=True)
class _Chains:
    """The values of one key, glued into chains by the compare-and-sets that happened."""

    history: History
    steps: dict[int, tuple[Hashable, Hashable]]
    initial: Hashable
    blocks: dict[Hashable, _Block] = field(default_factory=dict)
    after: dict[Hashable, Hashable] = field(default_factory=dict)

    def judge(self, makers: Sequence[Operation], reads: Sequence[Operation]) -> Iterator[Anomaly]:
        made = {self.steps[o.index][1]: o for o in makers}
        happened = self._happened(made, reads)
        yield from self._unexplained(made, happened, reads)
        self.blocks = {self.initial: _Block(maker=None)}
        self.blocks |= {self.steps[o.index][1]: _Block(maker=o) for o in happened}
        for read in reads:
            if (block := self.blocks.get(identity(read.value))) is not None:
                block.reads.append(read)
        split = list(self._glue(happened))
        yield from split
        if not split:
            yield from self._ordered()

    def _happened(self, made: dict[Hashable, Operation], reads: Sequence[Operation]) -> list[Operation]:
        """What is acknowledged or was seen to have happened."""
        found = {o.index: o for o in oks(made.values())}
        seen = [identity(read.value) for read in reads] + [self.steps[index][0] for index in found]
        while seen:
            maker = made.get(seen.pop())
            if maker is not None and maker.index not in found and maker.outcome is Outcome.INFO:
                found[maker.index] = maker
                seen.append(self.steps[maker.index][0])
        return [found[index] for index in sorted(found)]

    def _unexplained(
        self, made: dict[Hashable, Operation], happened: Sequence[Operation], reads: Sequence[Operation]
    ) -> Iterator[Anomaly]:
        seen = [(read, identity(read.value)) for read in reads]
        seen += [(o, self.steps[o.index][0]) for o in happened if self.steps[o.index][0] is not None]
        for seer, value in seen:
            maker = made.get(value)
            made_before = maker and maker.outcome is not Outcome.FAIL and maker.start_ns <= seer.end_ns
            if value == self.initial or made_before:
                continue
            yield _unexplained(seer, maker)

    def _glue(self, happened: Sequence[Operation]) -> Iterator[Anomaly]:
        """Chain what happened; two successors of one value are a lost update, an endless chain a cycle."""
        for swap in happened:
            expected, new = self.steps[swap.index]
            if expected is None:
                continue
            if (other := self.after.setdefault(expected, new)) != new:
                first = self.blocks[other].maker
                both = f"{named(first)} and {named(swap)}" if first else named(swap)
                yield Anomaly("lost update", f"{both} both replaced the same value", (*filter(None, [first]), swap))
        followers = set(self.after.values())
        roots = [value for value in {**self.blocks, **self.after} if value not in followers]
        reached = {value for root in roots for value in self._chain(root)}
        circle = [block.maker for value, block in self.blocks.items() if value not in reached and block.maker]
        if circle and len(followers) == len(self.after):
            yield Anomaly("cycle", f"{len(circle)} compare-and-sets each expected another's value", tuple(circle[:4]))

    def _chain(self, root: Hashable) -> list[Hashable]:
        chain, known = [root], {root}
        while (following := self.after.get(chain[-1])) is not None and following not in known:
            chain.append(following)
            known.add(following)
        return chain

    def _ordered(self) -> Iterator[Anomaly]:
        """Nothing of a chain may come before what stands earlier in it, nor chains between each other."""
        followers = set(self.after.values())
        chains = [
            [self.blocks[v] for v in self._chain(r) if v in self.blocks] for r in self.blocks if r not in followers
        ]
        broken = [a for chain in chains for a in self._within(chain)]
        yield from broken
        if broken:
            return
        firsts, lasts = [], []
        for chain in chains:
            operations = [o for block in chain for o in block.all]
            from_start = chain[0].maker is None
            firsts.append(BEFORE_ALL if from_start else min(o.end_ns for o in operations))
            lasts.append(max((o.start_ns for o in operations), default=BEFORE_ALL))
        zones = Zones.of(np.zeros(len(chains), dtype=np.int64), np.array(firsts, dtype=np.int64))
        for one, other in zip(*zones.conflicts(np.array(lasts, dtype=np.int64)), strict=True):
            yield self._torn(chains[int(one)], chains[int(other)])

    def _within(self, chain: Sequence[_Block]) -> Iterator[Anomaly]:
        earliest: Operation | None = None
        for block in reversed(chain):
            late = max(block.all, key=lambda o: o.start_ns, default=None)
            if earliest and late and earliest.end_ns < late.start_ns:
                yield self._late(late, earliest)
            ends = [o for o in (earliest, *block.all) if o is not None]
            earliest = min(ends, key=lambda o: o.end_ns, default=None)

    def _torn(self, one: Sequence[_Block], other: Sequence[_Block]) -> Anomaly:
        older, newer = sorted((one, other), key=lambda c: c[0].maker.start_ns if c[0].maker else BEFORE_ALL)
        late = max((o for b in older for o in b.all), key=lambda o: o.start_ns)
        early = min((o for b in newer for o in b.all), key=lambda o: o.end_ns)
        return self._late(late, early)

    def _late(self, late: Operation, early: Operation) -> Anomaly:
        name = "stale read" if self.steps.get(late.index) is None else "stale version"
        ended = f"ended at {at(early.end_ns, self.history)}"
        says = f"{named(late)} worked on a value that {named(early)}, which had {ended}, shows to be replaced"
        return Anomaly(name, says, (early, late))


def _unexplained(seer: Operation, maker: Operation | None) -> Anomaly:
    """What *seer* saw was not there to be seen."""
    if maker is None:
        return Anomaly("garbage read", f"{named(seer)} saw a value that nobody wrote: {seer.value!r}", (seer,))
    name = "aborted read" if maker.outcome is Outcome.FAIL else "future read"
    reason = "was refused" if maker.outcome is Outcome.FAIL else "had not begun"
    says = f"{named(seer)} saw {seer.value!r}, although {named(maker)}, which wrote it, {reason}"
    return Anomaly(name, says, (maker, seer))
