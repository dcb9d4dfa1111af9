"""A user's own small model: is there an order of the operations that it allows?"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol

from chaos.checkers.anomalies import Anomaly, Coverage, by_key, concluded
from chaos.history import History, Operation, Outcome
from chaos.results.model import Finding, Verdict

STATES_MAX: Final = 1_000_000


class Model(Protocol):
    """A sequential object, such as a lock or a queue."""

    def initial(self) -> Hashable:
        """The state of a key before its first operation."""

    def step(self, state: Hashable, operation: Operation) -> Hashable | None:
        """The state after *operation*, or None when its answer is impossible in *state*.

        An operation of unknown outcome has no answer to be compared with.
        """


@dataclass(frozen=True, kw_only=True, slots=True)
class Linearizable:
    """Each key's operations can be put in an order that time and *model* allow.

    The search of Wing & Gong (J. Parallel Distrib. Comput. 17, 1993) that never tries the same
    set of operations in the same state twice (Lowe, Concurrency Computat. Pract. Exper. 29, 2017).
    It is exponential: for small histories. A memory budget of *states* makes it INCONCLUSIVE;
    ``with_budget`` bounds the time.

    Attributes:
        model: what each key is.
        operations: the kinds that it takes part in.
        partition: what *model* is one of each for; keys unless another is given.
        states: how many (set, state) pairs it may try for each key.
    """

    model: Model
    operations: tuple[str, ...]
    partition: Callable[[Sequence[Operation]], dict[str | None, list[Operation]]] = by_key
    states: int = STATES_MAX

    def __call__(self, history: History) -> Finding:
        """Judge *history*; REFUTED by one key is REFUTED, whatever is unknown of another."""
        operations = history.of(*self.operations)
        check = f"the operations are linearizable as {type(self.model).__name__}"
        anomalies, undecided = list[Anomaly](), list[str | None]()
        for key, group in self.partition(operations).items():
            search = _Search(model=self.model, states=self.states, operations=_meant(group))
            decided = search.possible()
            if decided is None:
                undecided.append(key)
            elif not decided:
                anomalies.append(search.anomaly(key))
        if undecided and not anomalies:
            says = f"undecided after {self.states} states for {len(undecided)} keys, such as {undecided[0]!r}"
            return Finding(check=check, verdict=Verdict.INCONCLUSIVE, says=says, checked=len(operations))
        return concluded(check, history, Coverage.of(history, operations, len(operations)), anomalies)


def _meant(operations: Sequence[Operation]) -> list[Operation]:
    return sorted((o for o in operations if o.outcome is not Outcome.FAIL), key=lambda o: o.start_ns)


@dataclass(kw_only=True)
class _Search:
    """Depth first over (what is done, state), with a memory of what led nowhere."""

    model: Model
    operations: list[Operation]
    states: int
    known: set[tuple[int, Hashable]] = field(default_factory=set)
    furthest: int = 0

    def possible(self) -> bool | None:
        """Whether an order exists; None when the budget is spent."""
        must = sum(1 << n for n, o in enumerate(self.operations) if o.outcome is Outcome.OK)
        start = 0, self.model.initial()
        stack = [self._next(*start)]
        if not must:
            return True
        while stack:
            done, state = next(stack[-1], (-1, None))
            if done < 0:
                stack.pop()
            elif done & must == must:
                return True
            elif len(self.known) >= self.states:
                return None
            else:
                self._mark(done)
                stack.append(self._next(done, state))
        return False

    def _next(self, done: int, state: Hashable) -> Iterator[tuple[int, Hashable]]:
        """Every operation that may come next, and the state after it, if that is new."""
        left = [(n, o) for n, o in enumerate(self.operations) if not done >> n & 1]
        earliest = min(o.end_ns for _, o in left)
        for number, operation in left:
            if operation.start_ns > earliest:
                break
            after = self.model.step(state, operation)
            reached = done | 1 << number, after
            if after is not None and reached not in self.known:
                self.known.add(reached)
                yield reached

    def _mark(self, done: int) -> None:
        if done.bit_count() > self.furthest.bit_count():
            self.furthest = done

    def anomaly(self, key: str | None) -> Anomaly:
        """What no order could go on with."""
        stuck = [o for n, o in enumerate(self.operations) if not self.furthest >> n & 1 and o.outcome is Outcome.OK]
        done = self.furthest.bit_count()
        says = (
            f"no order of the {len(self.operations)} operations on {key!r} is possible; the longest ends after {done}"
        )
        return Anomaly("not linearizable", says, tuple(stuck[:4]))
