"""List-append transactions are serializable: no cycle in what comes before what."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from chaos.checkers.anomalies import Anomaly, Coverage, concluded, oks
from chaos.checkers.appends import dependencies, infer
from chaos.checkers.cycles import Edge, Graph
from chaos.history import History, Operation, Outcome
from chaos.results.model import Finding

Level = Literal["serializable", "strong session serializable", "strict serializable"]
_TIME: Final[dict[str, tuple[str, ...]]] = {
    "serializable": (),
    "strong session serializable": ("process",),
    "strict serializable": ("process", "realtime"),
}
_SHORTEST: Final = 2


@dataclass(frozen=True, kw_only=True, slots=True)
class Transactions:
    """Transactions on lists can be put in one order that explains every read (Elle's inference).

    Names G0, G1a, G1b, G1c, G-single and G2-item after Adya; with ``-process`` or ``-realtime``
    when the cycle needs the order within a process or in time. The witness is a shortest cycle.

    Attributes:
        operation: a transaction; see ``chaos.checkers.appends`` for its value.
        level: whether the order must also be that of each process, or that of time.
    """

    operation: str = "txn"
    level: Level = "strict serializable"

    def __call__(self, history: History) -> Finding:
        """Judge *history*.

        Raises:
            HistoryError: a transaction is not made of steps, or an element was appended twice.
        """
        operations = history.of(self.operation)
        inferred = infer(operations)
        edges = list(dependencies(inferred))
        time = {"process": _process, "realtime": _realtime}
        for kind in _TIME[self.level]:
            edges += time[kind](inferred.transactions)
        by_index = {o.index: o for o in operations}
        cycles = [_told(name, cycle, by_index) for name, cycle in _cycles(edges, _TIME[self.level])]
        exercised = len({read.by.index for read in inferred.reads})
        coverage = Coverage.of(history, operations, exercised, "were transactions that read")
        return concluded(f"transactions are {self.level}", history, coverage, [*inferred.anomalies, *cycles])


def _cycles(edges: Sequence[Edge], time: Sequence[str]) -> Iterator[tuple[str, list[Edge]]]:
    """For each knot of transactions, the worst that can be said of it without time, else with it."""
    kinds = ["ww", "wr", "rw", *time]
    for component in Graph.of(edges, kinds).components():
        inside = [e for e in edges if e.before in component and e.after in component]
        yield next(_named(inside, time))


def _named(edges: Sequence[Edge], time: Sequence[str]) -> Iterator[tuple[str, list[Edge]]]:
    extra = list[str]()
    for suffix in ("", *time):
        extra += [suffix] if suffix else []
        end = f"-{suffix}" if suffix else ""
        for name, through, rest in (
            ("G0", ["ww"], ["ww", *extra]),
            ("G1c", ["wr"], ["ww", "wr", *extra]),
            ("G-single", ["rw"], ["ww", "wr", *extra]),
            ("G2-item", ["rw"], ["ww", "wr", "rw", *extra]),
        ):
            if cycle := _shortest(edges, through, rest):
                yield f"{name}{end}", cycle


def _shortest(edges: Sequence[Edge], through: Collection[str], rest: Collection[str]) -> list[Edge] | None:
    """A shortest cycle of one edge of *through* and any number of *rest*."""
    graph = Graph.of(edges, rest)
    best: list[Edge] | None = None
    for edge in edges:
        way = graph.way(edge.after, edge.before) if edge.kind in through else None
        if way is not None and (best is None or len(way) + 1 < len(best)):
            best = [edge, *way]
        if best is not None and len(best) == _SHORTEST:
            break
    return best


def _process(transactions: Sequence[Operation]) -> Iterator[Edge]:
    """Each transaction of a process comes before its next."""
    latest: dict[int, Operation] = {}
    for operation in sorted(transactions, key=lambda o: o.start_ns):
        before = latest.get(operation.process)
        if before is not None:
            says = f"#{before.index} -same process-> #{operation.index}"
            yield Edge(before.index, operation.index, "process", says)
        if operation.outcome is Outcome.OK:
            latest[operation.process] = operation


def _realtime(transactions: Sequence[Operation]) -> Iterator[Edge]:
    """What ended before another began; only the edges that others do not imply."""
    ended = sorted(oks(transactions), key=lambda o: o.end_ns)
    frontier: list[Operation] = []
    place = 0
    for operation in sorted(transactions, key=lambda o: o.start_ns):
        while place < len(ended) and ended[place].end_ns < operation.start_ns:
            done = ended[place]
            frontier = [o for o in frontier if o.end_ns >= done.start_ns] + [done]
            place += 1
        for before in frontier:
            says = f"#{before.index} -ended before-> #{operation.index}"
            yield Edge(before.index, operation.index, "realtime", says)


def _told(name: str, cycle: Sequence[Edge], by_index: dict[int, Operation]) -> Anomaly:
    operations = [by_index[edge.before] for edge in cycle]
    return Anomaly(name, "; ".join(edge.says for edge in cycle), tuple(operations))
