"""The consistency checkers on histories written by hand: rarer anomalies, witnesses, coverage, refusals."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

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
from chaos.errors import HistoryError
from chaos.history import History, Operation, Outcome, Sample, Snapshot
from chaos.results.model import Finding, Verdict
from tests.support.agreement import Cell
from tests.support.chance import operation
from tests.support.fakes import FAULT

HELD, REFUTED, INVALID, INCONCLUSIVE = Verdict.HELD, Verdict.REFUTED, Verdict.INVALID, Verdict.INCONCLUSIVE
FAIL, INFO = Outcome.FAIL, Outcome.INFO


def write(index: int, start: int, end: int, value: Any, **more: Any) -> Operation:
    """A write of *value*."""
    return operation(index, "write", start, end, wrote=value, value=value, **more)


def read(index: int, start: int, end: int, value: Any, **more: Any) -> Operation:
    """A read that returned *value*."""
    return operation(index, "read", start, end, value=value, **more)


def cas(index: int, start: int, end: int, expected: Any, new: Any, **more: Any) -> Operation:
    """A compare-and-set."""
    return operation(index, "cas", start, end, wrote=[expected, new], value=new, **more)


def txn(index: int, start: int, end: int, *steps: Sequence[Any], **more: Any) -> Operation:
    """A transaction."""
    return operation(index, "txn", start, end, wrote=list(steps), value=list(steps), **more)


def judged(checker: Checker, *operations: Operation, **more: Any) -> Finding:
    """The finding on those operations."""
    return checker(History(operations=operations, **more))


RARE: list[tuple[str, Checker, list[Operation]]] = [
    ("new-old inversion", Register(), [write(1, 0, 90, 1), read(2, 10, 20, 1), read(3, 30, 40, None)]),
    ("aborted read", Register(), [write(1, 0, 5, 1, outcome=FAIL), read(2, 10, 20, 1)]),
    ("future read", Register(), [read(1, 0, 5, 1), write(2, 10, 20, 1)]),
    (
        "stale version",
        CompareAndSet(),
        [write(1, 0, 5, 1), write(2, 10, 20, 2), cas(3, 30, 40, 1, 3)],
    ),
    ("cycle", CompareAndSet(), [cas(1, 0, 9, 2, 1), cas(2, 0, 9, 1, 2)]),
    ("aborted read", CompareAndSet(), [write(1, 0, 5, 1, outcome=FAIL), cas(2, 10, 20, 1, 2)]),
    ("garbage read", CompareAndSet(), [cas(2, 10, 20, 7, 2)]),
    ("future read", CompareAndSet(), [read(1, 0, 5, 2), cas(2, 10, 20, None, 2)]),
    ("stale read", CompareAndSet(), [cas(1, 0, 5, None, 1), cas(2, 6, 9, 1, 2), read(3, 20, 30, 1)]),
    ("stale read", CompareAndSet(), [write(1, 0, 5, 1), write(2, 6, 9, 2), read(3, 10, 11, 2), read(4, 20, 30, 1)]),
    (
        "monotonic writes violated",
        Sessions(),
        [write(1, 0, 1, 1, process=1, version=5), write(2, 2, 3, 2, process=1, version=4)],
    ),
    (
        "writes follow reads violated",
        Sessions(),
        [read(1, 0, 1, 1, process=1, version=5), write(2, 2, 3, 2, process=1, version=5)],
    ),
    (
        "G0",
        Transactions(),
        [
            txn(1, 0, 9, ["append", "x", 1], ["append", "y", 1]),
            txn(2, 0, 9, ["append", "x", 2], ["append", "y", 2]),
            txn(3, 20, 30, ["r", "x", [1, 2]], ["r", "y", [2, 1]]),
        ],
    ),
    ("G1b", Transactions(), [txn(1, 0, 9, ["append", "x", 1], ["append", "x", 2]), txn(2, 0, 9, ["r", "x", [1]])]),
    (
        "G1c",
        Transactions(),
        [
            txn(1, 0, 9, ["append", "x", 1], ["r", "y", [2]]),
            txn(2, 0, 9, ["append", "y", 2], ["r", "x", [1]]),
        ],
    ),
    (
        "G2-item",
        Transactions(),
        [
            txn(1, 0, 9, ["append", "x", 1], ["r", "y", []]),
            txn(2, 0, 9, ["append", "y", 2], ["r", "x", []]),
            txn(3, 20, 30, ["r", "x", [1]], ["r", "y", [2]]),
        ],
    ),
    (
        "G-single-realtime",
        Transactions(),
        [txn(1, 0, 9, ["append", "x", 1]), txn(2, 20, 30, ["r", "x", []]), txn(3, 40, 50, ["r", "x", [1]])],
    ),
    (
        "G-single-process",
        Transactions(level="strong session serializable"),
        [
            txn(1, 0, 9, ["append", "x", 1], process=1),
            txn(2, 20, 30, ["r", "x", []], process=1),
            txn(3, 40, 50, ["r", "x", [1]]),
        ],
    ),
    ("internal", Transactions(), [txn(1, 0, 9, ["append", "x", 1], ["r", "x", []])]),
    ("duplicate element", Transactions(), [txn(1, 0, 9, ["append", "x", 1]), txn(2, 20, 30, ["r", "x", [1, 1]])]),
    ("garbage read", Transactions(), [txn(2, 20, 30, ["r", "x", [7]])]),
    (
        "incompatible order",
        Transactions(),
        [
            txn(1, 0, 9, ["append", "x", 1]),
            txn(2, 0, 9, ["append", "x", 2]),
            txn(3, 20, 30, ["r", "x", [1, 2]]),
            txn(4, 20, 30, ["r", "x", [2, 1]]),
        ],
    ),
    (
        "not linearizable",
        Linearizable(model=Cell(), operations=("read", "write")),
        [write(1, 0, 5, 1), read(2, 10, 20, None)],
    ),
]


@pytest.mark.parametrize(
    ("anomaly", "checker", "operations"), RARE, ids=[f"{a} by {type(c).__name__}" for a, c, _ in RARE]
)
def test_a_rare_anomaly_is_named(anomaly: str, checker: Checker, operations: list[Operation]) -> None:
    """Counted under its name, with its operations as witness."""
    finding = judged(checker, *operations)
    assert finding.verdict is REFUTED
    assert anomaly.replace(" ", "_") in finding.measured, finding
    assert 1 <= len(finding.witness) <= 4


def test_time_is_no_part_of_plain_serializability() -> None:
    """A read of the past is serializable, and not strictly so."""
    late = [txn(1, 0, 9, ["append", "x", 1]), txn(2, 20, 30, ["r", "x", []]), txn(3, 40, 50, ["r", "x", [1]])]
    assert judged(Transactions(level="serializable"), *late).verdict is HELD
    assert judged(Transactions(level="strong session serializable"), *late).verdict is HELD
    assert judged(Transactions(), *late).verdict is REFUTED


def test_a_witness_tells_the_operations_the_fault_and_the_breaker() -> None:
    """In words, with times since the start of the run."""
    history = History(
        operations=(write(1, 100, 200, 17), write(2, 300, 400, 18), read(3, 700, 800, 17), read(4, 900, 950, 18)),
        faults=(replace(FAULT, on="a.*"),),
        samples=(
            Sample(time_ns=650, service="a", values={'resilience_breaker_state{edge="a.b"}': 2.0}),
            Sample(time_ns=990, service="a", values={'resilience_breaker_state{edge="a.b"}': 0.0}),
        ),
    )
    finding = Register()(history)
    assert "read #3 of 'k' returned 17" in finding.says
    assert "write #2 of 18 was acknowledged" in finding.says
    assert [line.split(" by")[0] for line in finding.witness] == ["write #1", "write #2", "read #3", "read #4"]
    assert "during Down() on a.*" in finding.witness[2]
    assert finding.witness[2].endswith("breaker of a.b open")
    assert "during" not in finding.witness[0]
    assert finding.measured["overlapping_a_fault"] == 2


def test_a_history_that_could_not_show_an_anomaly_proves_nothing() -> None:
    """No read after a write, or no operation during the fault: INVALID."""
    assert "could have seen an old value" in judged(Register(), write(1, 0, 5, 1)).says
    assert judged(Register(), write(1, 0, 5, 1)).verdict is INVALID
    early = [write(1, 0, 5, 1), read(2, 10, 20, 1)]
    assert judged(Register(), *early).verdict is HELD
    assert "overlapped a fault" in judged(Register(), *early, faults=(FAULT,)).says
    assert judged(Register(), *early, faults=(FAULT,)).verdict is INVALID


@pytest.mark.parametrize(
    ("checker", "operations", "reason"),
    [
        (Register(), [write(1, 0, 5, 1), write(2, 6, 9, 1)], "line 3: write #2 writes 1 to key 'k' as #1 does"),
        (Register(initial=1), [write(1, 0, 5, 1)], "line 2: write #1 writes 1, the initial value"),
        (Staleness(within_ms=1), [write(1, 0, 5, 1), write(2, 6, 9, 1)], "unique"),
        (CompareAndSet(), [cas(1, 0, 5, None, 1), cas(2, 6, 9, 1, 1)], "line 3: cas #2 sends"),
        (CompareAndSet(), [operation(1, "cas", 0, 5, wrote=3)], r"expected \[expected, new\]"),
        (CompareAndSet(initial=1), [cas(1, 0, 5, None, 1)], "the initial value"),
        (Counter(), [operation(1, "increment", 0, 5, wrote=-1)], "adds -1, expected an integer of at least 0"),
        (Counter(), [read(1, 0, 5, "1")], "returned '1', expected an integer"),
        (Bank(total=1), [read(1, 0, 5, [1])], "expected an integer for each account"),
        (Sessions(), [read(1, 0, 5, 1)], "names no version"),
        (Sessions(), [read(1, 0, 5, 1, process=1, version=1), read(2, 3, 9, 1, process=1, version=1)], "before #1"),
        (Ledger(operation="create", reads="read"), [read(1, 0, 5, 1)], "expected a list of elements"),
        (Transactions(), [txn(1, 0, 5, ["append", "x", 1]), txn(2, 0, 5, ["append", "x", 1])], "must be unique"),
        (Transactions(), [operation(1, "txn", 0, 5, value=1)], "expected a list of"),
        (Transactions(), [txn(1, 0, 5, ["w", "x", 1])], "step 'w'"),
        (Transactions(), [txn(1, 0, 5, ["r", "x", None])], "a read without a list"),
    ],
)
def test_what_cannot_be_judged_is_refused_by_line(checker: Checker, operations: list[Operation], reason: str) -> None:
    """A typed error with line and reason, never a verdict."""
    with pytest.raises(HistoryError, match=reason):
        judged(checker, *operations)


def test_equal_values_of_different_types_are_different() -> None:
    """1, 1.0, true and "1" are four values."""
    writes = [write(n, n * 10, n * 10 + 5, v) for n, v in enumerate([1, True, "1", 1.0])]
    assert judged(Register(), *writes, read(9, 90, 95, 1.0)).verdict is HELD
    assert judged(Register(), *writes, read(9, 90, 95, value=True)).verdict is REFUTED


def test_the_least_staleness_is_measured_exactly() -> None:
    """A read of the old value 30 ns after the new one was shown."""
    stale = [write(1, 0, 10, 1), write(2, 20, 30, 2), read(3, 60, 70, 1)]
    finding = judged(Staleness(within_ms=0.00003), *stale)
    assert finding.measured["staleness_ms"] == pytest.approx(0.00003)
    assert finding.verdict is HELD
    assert judged(Staleness(within_ms=0.00002), *stale).verdict is REFUTED
    assert judged(Staleness(within_ms=0.00002), *stale).measured["stale_beyond_bound"] == 1


def test_visibility_of_elements_is_measured_and_bounded() -> None:
    """From the acknowledgement to the last read that lacks the element."""
    second = 10**9
    created = operation(1, "create", 0, 1, wrote="e", value="e")
    reads = [operation(n, "list", n * second, n * second + 1, value=v) for n, v in ((2, []), (3, ["e"]))]
    check = Ledger(operation="create", reads="list", visible_within_s=3)
    assert judged(check, created, *reads).verdict is HELD
    assert judged(check, created, *reads).measured["visible_s"] == pytest.approx(2, abs=1e-6)
    late = judged(replace(check, visible_within_s=1), created, *reads)
    assert late.measured["visible_late"] == 1


def test_reads_show_elements_that_are_doubled_or_come_back() -> None:
    """Even where the final read is right."""
    created = operation(1, "create", 0, 1, wrote="e", value="e")
    removed = operation(2, "remove", 2, 3, wrote="e")
    check = Ledger(operation="create", reads="list", removes="remove")
    twice = operation(3, "list", 1, 2, value=["e", "e"])
    back = operation(4, "list", 5, 6, value=["e"])
    empty = operation(5, "list", 7, 8, value=[])
    assert judged(check, created, removed, twice, empty).measured["doubled_in_a_read"] == 1
    assert judged(check, created, removed, back, empty).measured["resurrected_in_a_read"] == 1
    assert judged(check, created, removed, empty).verdict is HELD


def test_a_final_read_judges_counters_and_banks_too() -> None:
    """What is in the store at the end counts like a read."""
    added = [operation(n, "increment", n, n, wrote=1) for n in (1, 2)]
    assert judged(Counter(), *added, final={"k": 2}).verdict is HELD
    assert judged(Counter(), *added, final={"k": 1}).measured["lost_increment"] == 1
    moved = [operation(1, "transfer", 0, 1, wrote=1), read(2, 2, 3, {"a": 1, "b": 2})]
    assert judged(Bank(total=3), *moved, final={"a": 0, "b": 3}).verdict is HELD
    assert judged(Bank(total=3), *moved, final={"a": 0, "b": 2}).measured["wrong_total"] == 1
    overdrawn = [moved[0], read(2, 2, 3, {"a": -1, "b": 4})]
    assert judged(Bank(total=3), *overdrawn).measured["negative_balance"] == 1
    assert judged(Bank(total=3, overdraft=True), *overdrawn).verdict is HELD


def test_effects_are_counted_after_healing_or_not_judged() -> None:
    """Refused and done is an anomaly; without a count there is no verdict."""
    refused = operation(1, "create", 0, 1, outcome=FAIL, idempotency_key="x", wrote="v")
    assert judged(Idempotency(operation="create"), refused).verdict is INVALID
    assert judged(Idempotency(operation="create"), refused, final={"x": 1}).measured["refused_but_done"] == 1
    by_value = Idempotency(operation="create", effects="value")
    assert judged(by_value, refused, final={"v": 1}).measured["refused_but_done"] == 1


def test_convergence_counts_from_healing() -> None:
    """The first snapshot from which on all agree; too late is an anomaly, never looked is no verdict."""
    second = 10**9
    looks = [
        Snapshot(time_ns=n * second, stores={"db": {"a": 1}, "cache": {"a": value}}) for n, value in ((1, 0), (2, 1))
    ]
    check = AtRest(truth="db", caches=("cache",), within_s=3)
    assert judged(check, snapshots=tuple(looks)).measured["convergence_s"] == 2
    assert judged(replace(check, within_s=1), snapshots=tuple(looks)).measured["late_convergence"] == 1
    assert judged(replace(check, within_s=None), snapshots=tuple(looks)).verdict is HELD
    assert judged(check, snapshots=tuple(looks[:1])).measured["divergence"] == 1
    assert judged(check).verdict is INVALID
    with pytest.raises(HistoryError, match="lacks the store cache; there are: db"):
        judged(check, snapshots=(Snapshot(time_ns=1, stores={"db": {}}),))


def test_a_search_without_budget_is_inconclusive_unless_another_key_refutes() -> None:
    """False beats unknown."""
    model = Linearizable(model=Cell(), operations=("read", "write"), states=1)
    many = [write(1, 0, 9, 1), write(2, 0, 9, 2), read(3, 20, 30, 1)]
    assert judged(model, *many).verdict is INCONCLUSIVE
    other = [read(4, 0, 9, 5, key="other")]
    assert judged(model, *many, *other).verdict is REFUTED
