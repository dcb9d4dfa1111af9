"""A checker that nothing could have refuted says so, and a final read is judged like any other."""

from dataclasses import replace

import pytest

from chaos.checkers.at_rest import AtRest
from chaos.checkers.bank import Bank
from chaos.checkers.counter import Counter
from chaos.checkers.idempotency import Idempotency
from chaos.errors import HistoryError
from chaos.history import History, Operation, Outcome, Snapshot
from chaos.results.model import Finding, Verdict
from tests.support.chance import operation

HELD, REFUTED, INVALID = Verdict.HELD, Verdict.REFUTED, Verdict.INVALID
FAIL = Outcome.FAIL
SNAPSHOT = operation(9, "read", 20, 30, value={"a": 1, "b": 2})


def transfer(outcome: Outcome) -> Operation:
    """Moves one."""
    return operation(1, "transfer", 0, 5, wrote=1, outcome=outcome)


def bank(*operations: Operation, final: dict[str, int] | None = None, overdraft: bool = False) -> Finding:
    """The finding on a bank that holds three."""
    return Bank(total=3, overdraft=overdraft)(History(operations=operations, final=final))


def test_a_bank_without_a_transfer_that_may_have_acted_proves_nothing() -> None:
    """Refused, or begun after the last snapshot."""
    assert bank(transfer(FAIL), SNAPSHOT).verdict is INVALID
    assert bank(transfer(Outcome.INFO), SNAPSHOT).verdict is HELD
    assert bank(replace(SNAPSHOT, index=0, start_ns=0, end_ns=1), operation(1, "transfer", 5, 9)).verdict is INVALID


@pytest.mark.parametrize(
    ("final", "overdraft", "anomaly"),
    [
        ({"a": -5, "b": 8}, False, "negative_balance"),
        ({"a": -5, "b": 8}, True, None),
        ({}, False, "wrong_total"),
        ({"a": 1, "b": 2}, False, None),
    ],
)
def test_the_final_balances_are_judged_like_any_snapshot(
    final: dict[str, int],
    overdraft: bool,  # noqa: FBT001  (a parameter)
    anomaly: str | None,
) -> None:
    """None of them negative, all of them there."""
    finding = bank(transfer(Outcome.OK), final=final, overdraft=overdraft)
    assert finding.verdict is (REFUTED if anomaly else HELD)
    assert anomaly is None or finding.measured[anomaly] == 1


def test_a_counter_that_the_final_read_does_not_name_holds_what_it_held_at_first() -> None:
    """Two acknowledged increments of a key that is not there are lost."""
    added = tuple(operation(n, "increment", n, n, wrote=1) for n in (1, 2))
    assert Counter()(History(operations=added, final={"other": 2})).measured["lost_increment"] == 1
    assert Counter(initial=7)(History(operations=added, final={"k": 9})).verdict is HELD


def test_a_counter_that_was_read_before_it_was_incremented_proves_nothing() -> None:
    """Such a read could not have missed anything."""
    early = operation(0, "read", 0, 1, value=0)
    added = operation(1, "increment", 5, 9, wrote=1)
    assert Counter()(History(operations=(early, added))).verdict is INVALID


@pytest.mark.parametrize(
    ("stores", "verdict"),
    [
        ({"db": {"a": 1}, "cache": {}, "copy": {"a": 1}}, INVALID),
        ({"db": {}, "cache": {}, "copy": {}}, INVALID),
        ({"db": {"a": 1}, "cache": {"a": 1}, "copy": {"a": 1}}, HELD),
        ({"db": {"a": 1}, "cache": {}, "copy": {}}, REFUTED),
    ],
    ids=["empty cache", "all empty", "all there", "empty copy"],
)
def test_stores_agree_only_when_there_was_something_to_compare(
    stores: dict[str, dict[str, int]], verdict: Verdict
) -> None:
    """Each of them by itself; an empty cache is right, and shows nothing."""
    history = History(snapshots=(Snapshot(time_ns=1, stores=stores),))
    assert AtRest(truth="db", caches=("cache",), copies=("copy",))(history).verdict is verdict


def test_a_cache_that_has_emptied_since_was_compared() -> None:
    """What it held after healing counts, although it has expired."""
    looks = [Snapshot(time_ns=n, stores={"db": {"a": 1}, "cache": held}) for n, held in ((1, {"a": 1}), (2, {}))]
    assert AtRest(truth="db", caches=("cache",))(History(snapshots=tuple(looks))).verdict is HELD


def create(index: int, key: str, value: str = "v", attempts: int = 1) -> Operation:
    """Creates *value* under the idempotency key *key*."""
    made = operation(index, "create", index, index, wrote=value, value=value, idempotency_key=key)
    return replace(made, attempts=attempts)


def once(*operations: Operation, final: dict[str, int], by_value: bool = False) -> Finding:
    """The finding on effects counted by key or by value."""
    checker = Idempotency(operation="create", effects="value" if by_value else "idempotency_key")
    return checker(History(operations=operations, final=final))


def test_keys_that_were_sent_once_prove_nothing() -> None:
    """A repeat is another operation with the key, or another attempt of the same."""
    assert once(create(1, "x"), create(2, "y"), final={"x": 1, "y": 1}).verdict is INVALID
    assert once(create(1, "x"), create(2, "x"), final={"x": 1}).verdict is HELD
    assert once(create(1, "x"), create(2, "y", attempts=2), final={"x": 1, "y": 1}).verdict is HELD
    assert once(create(1, "x"), final={"x": 2}).measured["double_apply"] == 1


def test_effects_by_value_need_values_that_belong_to_one_key() -> None:
    """Which of two keys a value took effect for is not guessed; one key may repeat its own."""
    with pytest.raises(HistoryError, match="line 3: create #2 sends 'v' with key 'b' as #1 does with 'a'"):
        once(create(1, "a"), create(2, "b"), final={"v": 2}, by_value=True)
    with pytest.raises(HistoryError, match="line 3: create #2 sends '1'"):
        once(replace(create(1, "a"), wrote=1), create(2, "b", "1"), final={}, by_value=True)
    assert once(create(1, "a"), create(2, "a"), final={"v": 1}, by_value=True).verdict is HELD


def test_effects_below_nothing_are_refused() -> None:
    """A final count is 0 or more."""
    with pytest.raises(HistoryError, match="final read counts -1 of 'x'"):
        once(create(1, "x"), create(2, "x"), final={"x": -1})
