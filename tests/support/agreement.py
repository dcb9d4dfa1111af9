"""Each checker beside brute force, on the same random histories."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice, permutations
from typing import Any

from chaos.checkers.at_rest import AtRest
from chaos.checkers.bank import Bank
from chaos.checkers.compare_and_set import CompareAndSet
from chaos.checkers.counter import Counter
from chaos.checkers.finding import Checker
from chaos.checkers.idempotency import Idempotency
from chaos.checkers.ledger import Ledger
from chaos.checkers.linearizable import Linearizable
from chaos.checkers.register import Register
from chaos.checkers.sessions import Sessions
from chaos.checkers.staleness import Staleness
from chaos.checkers.transactions import Transactions
from chaos.history import History, Operation, Outcome, Snapshot
from chaos.results.model import Finding, Verdict
from tests.support import brute, chance, chance_at_rest
from tests.support.chance import operation

Expected = Callable[[History], Any]


def refuted(finding: Finding) -> bool:
    """Whether an anomaly was found; nothing exercised is no anomaly."""
    return finding.verdict is Verdict.REFUTED


@dataclass(frozen=True, kw_only=True)
class Agreement:
    """A checker, histories for it, and what brute force says of one.

    ``expected`` answers what ``seen`` reads off the finding; it counts as valid when it is not
    true.
    """

    histories: Callable[[int], Iterator[History]]
    checker: Checker
    expected: Expected
    seen: Callable[[Finding], Any] = refuted

    def compare(self, count: int, seed: int) -> tuple[int, int, list[History]]:
        """How many of *count* histories are valid and invalid, and those on which the two differ."""
        valid = invalid = 0
        differ = []
        for history in islice(self.histories(seed), count):
            expected = self.expected(history)
            valid, invalid = (valid, invalid + 1) if expected else (valid + 1, invalid)
            if self.seen(self.checker(history)) != expected:
                differ.append(history)
        return valid, invalid, differ


def _of(histories: Callable[[int], Iterator[Sequence[Operation]]]) -> Callable[[int], Iterator[History]]:
    return lambda seed: (History(operations=tuple(operations)) for operations in histories(seed))


def _atomic(step: brute.Step, initial: Any) -> Expected:
    return lambda history: not all(brute.linearizable(g, initial, step) for g in brute.by_key(history.operations))


def _least_ms(finding: Finding) -> float | str:
    unexplained = {"garbage_read", "aborted_read", "future_read"} & finding.measured.keys()
    return "never" if unexplained else finding.measured["staleness_ms"]


def _least(history: History) -> float | str:
    least = brute.least_delta(history.operations)
    return "never" if least is None else least / 1e6


def _with_final(seed: int) -> Iterator[History]:
    for operations, final in chance.elements(seed):
        yield History(operations=tuple(operations), final=final)


def _misplaced(history: History) -> bool:
    for created in (o for o in history.operations if o.operation == "create"):
        of = [o for o in history.operations if o.wrote == created.wrote]
        found = (history.final or {}).get(str(created.wrote), 0)
        if not brute.linearizable([*of, operation(999, "look", 10**6, 10**6 + 1, value=found)], 0, brute.element):
            return True
    return False


def _mislisted(history: History) -> bool:
    reads = [o for o in history.operations if o.operation == "list" and o.outcome is Outcome.OK]
    for created in (o for o in history.operations if o.operation == "create"):
        name = str(created.wrote)
        changes = [o for o in history.operations if o.wrote == created.wrote]
        found = [(r, r.value.count(name)) for r in reads if name in r.value]
        if not all(brute.looked(changes, read, count) for read, count in found):
            return True
        if history.final is None and not brute.never_lost(changes, reads, name):
            return True
    return history.final is not None and _misplaced(history)


def _miscounted(history: History) -> bool:
    for group in brute.by_key(history.operations):
        amounts = [o for o in group if o.operation == "increment"]
        reads = [o for o in group if o.operation == "read" and o.outcome is Outcome.OK]
        if history.final is not None:
            reads.append(operation(999, "read", 10**6, 10**6, value=history.final.get(str(group[0].key), 0)))
        if not all(brute.counter(amounts, read) for read in reads):
            return True
    return False


def _backwards(history: History) -> bool:
    """Every pair of operations, by the definitions of the four session guarantees."""
    done = [o for o in history.operations if o.outcome is Outcome.OK]
    for before, after in permutations(done, 2):
        same = before.process == after.process and before.key == after.key
        if not same or before.start_ns > after.start_ns:
            continue
        least = (before.version or 0) + (after.operation == "write")
        if (after.version or 0) < least:
            return True
    return False


def _keyed(seed: int) -> Iterator[History]:
    for operations, final in chance.keyed(seed):
        yield History(operations=tuple(operations), final=final)


def _not_once(history: History) -> bool:
    for key in {o.idempotency_key for o in history.operations}:
        group = [o for o in history.operations if o.idempotency_key == key]
        acknowledged = [o for o in group if o.outcome is Outcome.OK]
        unknown = any(o.outcome is Outcome.INFO for o in group)
        allowed = {1} if acknowledged else {0, 1} if unknown else {0}
        if (history.final or {})[str(key)] not in allowed or len({o.value for o in acknowledged}) > 1:
            return True
    return False


def _unsound(history: History) -> bool:
    found = [o.value for o in history.operations if o.operation == "read" and o.outcome is Outcome.OK]
    found += [] if history.final is None else [history.final]
    return any(sum(held.values()) != 10 or any(balance < 0 for balance in held.values()) for held in found)


def _at_rest(seed: int) -> Iterator[History]:
    for stores in chance.snapshots(seed):
        yield History(snapshots=(Snapshot(time_ns=1, stores=stores),))


def _apart(history: History) -> bool:
    stores = history.snapshots[-1].stores
    return stores["copy"] != stores["truth"] or not stores["cache"].items() <= stores["truth"].items()


class Cell:
    """A register as a model of a user."""

    def initial(self) -> object:
        """Nothing was written."""
        return (None,)

    def step(self, state: Any, operation: Operation) -> Any:
        """One write or read."""
        return brute.register(state, operation)


AGREEMENTS = {
    "register": Agreement(
        histories=_of(chance.registers), checker=Register(), expected=_atomic(brute.register, (None,))
    ),
    "staleness": Agreement(
        histories=_of(chance.registers), checker=Staleness(within_ms=0), expected=_least, seen=_least_ms
    ),
    "compare-and-set": Agreement(
        histories=_of(chance.swaps), checker=CompareAndSet(), expected=_atomic(brute.compare_and_set, (None,))
    ),
    "ledger": Agreement(
        histories=_with_final, checker=Ledger(operation="create", removes="remove"), expected=_misplaced
    ),
    "ledger, read during the run": Agreement(
        histories=chance_at_rest.listed,
        checker=Ledger(operation="create", removes="remove", reads="list"),
        expected=_mislisted,
    ),
    "counter": Agreement(histories=_of(chance.counters), checker=Counter(), expected=_miscounted),
    "counter, read at the end": Agreement(histories=chance_at_rest.counted, checker=Counter(), expected=_miscounted),
    "transactions, strict serializable": Agreement(
        histories=_of(chance.appends),
        checker=Transactions(),
        expected=lambda history: not brute.linearizable(history.operations, (), brute.appends),
    ),
    "transactions, serializable": Agreement(
        histories=_of(chance.appends),
        checker=Transactions(level="serializable"),
        expected=lambda h: not brute.linearizable(h.operations, (), brute.appends, brute.never),
    ),
    "transactions, strong session serializable": Agreement(
        histories=_of(chance_at_rest.session_appends),
        checker=Transactions(level="strong session serializable"),
        expected=lambda h: not brute.linearizable(h.operations, (), brute.appends, brute.in_session),
    ),
    "session guarantees": Agreement(histories=_of(chance.sessions), checker=Sessions(), expected=_backwards),
    "idempotency": Agreement(histories=_keyed, checker=Idempotency(operation="create"), expected=_not_once),
    "bank": Agreement(histories=_of(chance.banks), checker=Bank(total=10), expected=_unsound),
    "bank, read at the end": Agreement(histories=chance_at_rest.balanced, checker=Bank(total=10), expected=_unsound),
    "stores at rest": Agreement(
        histories=_at_rest, checker=AtRest(truth="truth", caches=("cache",), copies=("copy",)), expected=_apart
    ),
    "a user's model": Agreement(
        histories=_of(chance.registers),
        checker=Linearizable(model=Cell(), operations=("read", "write")),
        expected=_atomic(brute.register, (None,)),
    ),
}
