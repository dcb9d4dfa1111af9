"""What lists that are only appended to tell about the transactions that read and wrote them.

After Kingsbury & Alvaro, Elle: Inferring Isolation Anomalies from Experimental Observations
(VLDB 2020). A transaction's value is a list of steps, ``["append", key, element]`` and
``["r", key, list]``; the list is null before it is read.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from chaos.checkers.anomalies import Anomaly, named, refused
from chaos.checkers.cycles import Edge
from chaos.history import Operation, Outcome
from chaos.history.columns import identity

Element = tuple[str, Any]
"""A key and an element of its list."""


@dataclass(frozen=True, slots=True)
class Read:
    """What one step read, without what the transaction itself had appended before."""

    by: Operation
    key: str
    elements: tuple[Any, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Inferred:
    """What can be known from the reads.

    Attributes:
        transactions: those that happened: acknowledged, or seen.
        writer: who appended each element.
        reads: of acknowledged transactions.
        orders: for each key, its elements in the order of the longest read.
        anomalies: what needs no cycle to be wrong.
    """

    transactions: tuple[Operation, ...]
    writer: Mapping[Element, Operation]
    reads: tuple[Read, ...]
    orders: Mapping[str, tuple[Any, ...]]
    anomalies: tuple[Anomaly, ...]


def infer(operations: Sequence[Operation]) -> Inferred:
    """Infer the order of appends from *operations*, all of them transactions.

    Raises:
        HistoryError: a transaction is not made of such steps, or an element was appended twice.
    """
    writer = _writers(operations)
    reads, anomalies = list[Read](), list[Anomaly]()
    for operation in operations:
        if operation.outcome is Outcome.OK:
            found, wrong = _reads(operation)
            reads += found
            anomalies += wrong
    anomalies += _unexplained(reads, writer)
    orders, incompatible = _orders(reads)
    anomalies += incompatible
    anomalies += _intermediate(reads, writer)
    anomalies += _rearranged(orders, writer)
    seen = {writer[key, e].index for key, order in orders.items() for e in order if (key, e) in writer}
    happened = [o for o in operations if o.outcome is Outcome.OK or (o.index in seen and o.outcome is Outcome.INFO)]
    return Inferred(
        transactions=tuple(happened), writer=writer, reads=tuple(reads), orders=orders, anomalies=tuple(anomalies)
    )


def steps(operation: Operation) -> list[tuple[str, str, Any]]:
    """The steps of a transaction.

    Raises:
        HistoryError: its value is something else.
    """
    value = operation.value if operation.outcome is Outcome.OK else operation.written
    try:
        found = [(kind, str(key), given) for kind, key, given in value]
    except (TypeError, ValueError):
        raise refused(operation, f"is {value!r}, expected a list of [append or r, key, value]") from None
    if wrong := [kind for kind, _, _ in found if kind not in ("append", "r")]:
        raise refused(operation, f"has a step {wrong[0]!r}, expected append or r")
    lists = all(isinstance(given, list | tuple) for kind, _, given in found if kind == "r")
    if operation.outcome is Outcome.OK and not lists:
        raise refused(operation, "is ok and has a read without a list")
    return found


def appended(operation: Operation) -> list[Element]:
    """What *operation* appends, in its order."""
    return [_element(key, given) for kind, key, given in steps(operation) if kind == "append"]


def _element(key: str, given: object) -> Element:
    return key, identity(given)


def shown(element: Hashable) -> str:
    """An element of a list as it was sent."""
    return repr(element[1]) if isinstance(element, tuple) else str(element)


def _writers(operations: Sequence[Operation]) -> dict[Element, Operation]:
    writer: dict[Element, Operation] = {}
    for operation in operations:
        for element in appended(operation):
            if element in writer:
                again = f"appends {shown(element[1])} to {element[0]!r} as #{writer[element].index} does"
                raise refused(operation, f"{again}; elements must be unique")
            writer[element] = operation
    return writer


def _reads(operation: Operation) -> tuple[list[Read], list[Anomaly]]:
    """What *operation* read of others, and where it contradicts itself."""
    found, wrong = list[Read](), list[Anomaly]()
    own: dict[str, list[Any]] = defaultdict(list)
    known: dict[str, tuple[Any, ...]] = {}
    for kind, key, given in steps(operation):
        if kind == "append":
            own[key].append(identity(given))
            continue
        elements = tuple(identity(e) for e in given)
        others = elements[: len(elements) - len(own[key])]
        if list(elements[len(others) :]) != own[key] or known.setdefault(key, others) != others:
            wrong.append(Anomaly("internal", f"{named(operation)} does not see its own steps on {key!r}", (operation,)))
            continue
        if len(set(elements)) < len(elements):
            twice = Counter(elements).most_common(1)[0][0]
            wrong.append(Anomaly("duplicate element", f"{named(operation)} read {shown(twice)} twice", (operation,)))
        found.append(Read(operation, key, others))
    return found, wrong


def _unexplained(reads: Sequence[Read], writer: Mapping[Element, Operation]) -> Iterator[Anomaly]:
    for read in reads:
        for element in read.elements:
            by = writer.get((read.key, element))
            if by is None:
                says = f"{named(read.by)} read {shown(element)} in {read.key!r}, which nobody appended"
                yield Anomaly("garbage read", says, (read.by,))
            elif by.outcome is Outcome.FAIL:
                says = f"{named(read.by)} read {shown(element)} in {read.key!r}, although {named(by)} was aborted"
                yield Anomaly("G1a", says, (by, read.by))


def _intermediate(reads: Sequence[Read], writer: Mapping[Element, Operation]) -> Iterator[Anomaly]:
    """A read that ends with an append after which its transaction appended more to the same key."""
    for read in reads:
        by = writer.get((read.key, read.elements[-1])) if read.elements else None
        if by is None or by is read.by:
            continue
        last = [e for key, e in appended(by) if key == read.key][-1]
        if last != read.elements[-1]:
            says = f"{named(read.by)} read {read.key!r} in the middle of {named(by)}"
            yield Anomaly("G1b", says, (by, read.by))


def _rearranged(orders: Mapping[str, tuple[Hashable, ...]], writer: Mapping[Element, Operation]) -> Iterator[Anomaly]:
    """An order in which the appends of one transaction are not in its own order, or lack one before another."""
    for key, order in orders.items():
        own: dict[int, list[Hashable]] = defaultdict(list)
        for element in order:
            if (key, element) in writer:
                own[writer[key, element].index].append(element)
        by = {writer[key, element].index: writer[key, element] for element in order if (key, element) in writer}
        for index, found in own.items():
            sent = [element for name, element in appended(by[index]) if name == key]
            if found != sent[: len(found)]:
                says = f"{named(by[index])} appended to {key!r} in another order than was read"
                yield Anomaly("incompatible order", says, (by[index],))


def _orders(reads: Sequence[Read]) -> tuple[dict[str, tuple[Any, ...]], list[Anomaly]]:
    """The longest read of each key, of which every other read must be a beginning."""
    longest: dict[str, Read] = {}
    for read in reads:
        if len(read.elements) > len(longest.setdefault(read.key, read).elements):
            longest[read.key] = read
    wrong = []
    for read in reads:
        most = longest[read.key]
        if read.elements != most.elements[: len(read.elements)]:
            says = f"{named(read.by)} and {named(most.by)} read {read.key!r} in orders that contradict each other"
            wrong.append(Anomaly("incompatible order", says, (read.by, most.by)))
    return {key: read.elements for key, read in longest.items()}, wrong


def dependencies(inferred: Inferred) -> Iterator[Edge]:
    """Which transaction comes before which: ww, wr and rw edges, with what shows them."""
    after = _unseen(inferred)
    for key, order in inferred.orders.items():
        writers = [inferred.writer.get((key, e)) for e in order]
        for one, other in pairwise(writers):
            yield from _edge(one, other, "ww", key)
        for unseen in after[key] if writers else ():
            yield from _edge(writers[-1], unseen, "ww", key)
    for read in inferred.reads:
        order, length = inferred.orders[read.key], len(read.elements)
        if read.elements:
            yield from _edge(inferred.writer.get((read.key, read.elements[-1])), read.by, "wr", read.key)
        if length < len(order):
            yield from _edge(read.by, inferred.writer.get((read.key, order[length])), "rw", read.key)
        else:
            for unseen in after[read.key]:
                yield from _edge(read.by, unseen, "rw", read.key)


def _unseen(inferred: Inferred) -> Mapping[str, list[Operation]]:
    """For each key, who appended to it what the longest read does not show: they come after it."""
    seen = {(key, element) for key, order in inferred.orders.items() for element in order}
    happened = {o.index for o in inferred.transactions}
    unseen: dict[str, dict[int, Operation]] = defaultdict(dict)
    for element, operation in inferred.writer.items():
        if element not in seen and operation.index in happened:
            unseen[element[0]][operation.index] = operation
    return defaultdict(list, {key: list(found.values()) for key, found in unseen.items()})


def _edge(before: Operation | None, after: Operation | None, kind: str, key: str) -> Iterator[Edge]:
    if before is not None and after is not None and before is not after:
        yield Edge(before.index, after.index, kind, f"{named(before)} -{kind} on {key!r}-> {named(after)}")
