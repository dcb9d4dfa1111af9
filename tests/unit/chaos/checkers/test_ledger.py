"""The ledger, when reads of the whole set stand for a final read, and when there is nothing to judge."""

import pytest

from chaos.checkers.ledger import Ledger
from chaos.errors import HistoryError
from chaos.history import History, Operation, Outcome
from chaos.results.model import Finding, Verdict
from tests.support.chance import operation
from tests.support.fakes import FAULT
from tests.support.histories import history, op

HELD, REFUTED, INVALID = Verdict.HELD, Verdict.REFUTED, Verdict.INVALID
LEDGER = Ledger(operation="create", reads="list", removes="remove")


def create(start: int, end: int, outcome: Outcome = Outcome.OK, value: str = "v") -> Operation:
    """Puts *value* in."""
    return operation(start, "create", start, end, wrote=value, value=value, outcome=outcome)


def remove(start: int, end: int, outcome: Outcome = Outcome.OK) -> Operation:
    """Takes "v" out."""
    return operation(start, "remove", start, end, wrote="v", outcome=outcome)


def listed(start: int, end: int, *elements: str) -> Operation:
    """A read that found *elements*."""
    return operation(start, "list", start, end, value=list(elements))


def judged(*operations: Operation, ledger: Ledger = LEDGER) -> Finding:
    """The finding on *operations*, without a final read."""
    return ledger(History(operations=operations))


def test_a_read_that_was_under_way_may_lack_what_was_being_written() -> None:
    """Nothing was exercised: no read began after the acknowledgement."""
    assert judged(create(0, 10), listed(5, 12)).verdict is INVALID
    assert judged(create(0, 10), listed(11, 12)).measured["lost_acknowledged_write"] == 1
    assert judged(create(0, 10), listed(11, 12, "v")).verdict is HELD


def test_an_element_that_a_later_read_may_have_found_is_not_lost() -> None:
    """It was visible late; of two reads at the same time either may have been the later one."""
    assert judged(create(0, 1), listed(5, 6), listed(7, 8, "v")).verdict is HELD
    assert judged(create(0, 1), listed(5, 50, "v"), listed(7, 8)).verdict is HELD
    assert judged(create(0, 1), listed(5, 6, "v"), listed(7, 8)).measured["lost_acknowledged_write"] == 1


@pytest.mark.parametrize(
    ("removed", "verdict"),
    [(remove(2, 3), HELD), (remove(6, 9), HELD), (remove(8, 9), REFUTED), (remove(2, 3, Outcome.FAIL), REFUTED)],
    ids=["before", "at the same time", "later", "refused"],
)
def test_only_a_removal_that_may_have_acted_excuses_a_missing_element(removed: Operation, verdict: Verdict) -> None:
    """One that began after the read, or was refused, does not explain what the read lacked."""
    assert judged(create(0, 1), removed, listed(5, 7)).verdict is verdict


@pytest.mark.parametrize(
    ("operations", "anomaly"),
    [
        ([create(0, 1, Outcome.FAIL), listed(5, 6, "v")], "aborted_read"),
        ([listed(0, 1, "v"), create(2, 3)], "future_read"),
        ([create(0, 1), listed(2, 3, "v", "v")], "doubled_in_a_read"),
        ([create(0, 1), remove(2, 3), listed(4, 5, "v")], "resurrected_in_a_read"),
    ],
)
def test_a_single_read_can_be_wrong(operations: list[Operation], anomaly: str) -> None:
    """By itself, whatever the store holds in the end."""
    assert judged(*operations).measured[anomaly] == 1
    assert LEDGER(History(operations=tuple(operations), final={"v": 1})).measured[anomaly] == 1


def test_a_ledger_without_an_acknowledged_write_proves_nothing() -> None:
    """Five refusals lose no write; neither do writes that no fault touched."""
    refused = tuple(create(n, n, Outcome.FAIL, f"v{n}") for n in range(5))
    assert Ledger(operation="create")(History(operations=refused, final={})).verdict is INVALID
    early = History(operations=(create(0, 5),), final={"v": 1}, faults=(FAULT,))
    assert "overlapped a fault" in Ledger(operation="create")(early).says
    assert Ledger(operation="create")(early).verdict is INVALID
    under = History(operations=(create(700, 705),), final={"v": 1}, faults=(FAULT,))
    assert Ledger(operation="create")(under).verdict is HELD


def test_a_count_below_nothing_is_refused() -> None:
    """No element is there minus one times."""
    with pytest.raises(HistoryError, match="final read counts -1 of 'v', expected 0 or more"):
        Ledger(operation="create")(History(operations=(create(0, 1),), final={"v": -1}))


@pytest.mark.parametrize(
    ("outcome", "present", "verdict", "anomaly"),
    [
        (Outcome.OK, 1, HELD, ""),
        (Outcome.OK, 0, REFUTED, "lost acknowledged write"),
        (Outcome.OK, 2, REFUTED, "doubled"),
        (Outcome.FAIL, 0, HELD, ""),
        (Outcome.FAIL, 1, REFUTED, "refused but done"),
        (Outcome.INFO, 0, HELD, ""),
        (Outcome.INFO, 1, HELD, ""),
        (Outcome.INFO, 2, REFUTED, "doubled"),
    ],
)
def test_the_ledger_knows_every_way_to_lose_or_double_a_write(
    outcome: Outcome, present: int, verdict: Verdict, anomaly: str
) -> None:
    """Acknowledged once, refused never, unknown at most once."""
    created = [op(1, operation="create", value="w"), op(2, operation="create", outcome=outcome, value="v")]
    run = history(created, final={"w": 1, "v": present} if present else {"w": 1})
    finding = Ledger(operation="create")(run)
    assert finding.verdict is verdict
    assert anomaly in finding.says


def test_a_ledger_that_must_be_resolved_refuses_unknown_outcomes() -> None:
    """A client that retries until it knows has no excuse."""
    run = history([op(1, operation="create", outcome=Outcome.INFO, value="v")], final={})
    assert Ledger(operation="create", resolved=True)(run).verdict is REFUTED


def test_the_ledger_refuses_values_that_are_not_unique() -> None:
    """It does not guess which of two equal writes is there."""
    twice = [op(1, operation="create", value="v"), op(2, operation="create", value="v")]
    assert Ledger(operation="create")(history(twice, final={"v": 1})).verdict is INVALID
    assert Ledger(operation="create")(history(twice[:1])).says == "the store was not read after healing"
