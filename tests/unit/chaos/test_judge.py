"""From findings to a verdict: false beats unknown, but who cannot be trusted refutes nothing about the service."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from chaos import Faster, Ledger, Register, Succeeds, with_budget
from chaos.checkers.finding import Checker, Columnar
from chaos.checkers.run_itself import KeptSchedule, SteadyAfter, SteadyBefore
from chaos.history import History
from chaos.history.columns import Columns
from chaos.judge import Judge
from chaos.results import folder as results
from chaos.results.model import Bite, Finding, Result, Subject, Verdict
from chaos.wall import Wall
from tests.support.histories import fault, history, op

HELD, REFUTED, INVALID, INCONCLUSIVE = Verdict.HELD, Verdict.REFUTED, Verdict.INVALID, Verdict.INCONCLUSIVE
SLOW = Faster(operation="read", below_ms=1)
LOST = Ledger(operation="create")


def judge_by(*checkers: Checker, bit: bool = True, wall: Wall | None = None) -> Judge:
    """A judge of runs with one fault."""
    bites = (Bite(on="a.b", expected="", measured="", held=bit),)
    return Judge(checkers=checkers, steady_share=0.99, bites=bites, wall=wall or Wall())


def seen(*, late_s: float = 0.0, steady: bool = True) -> History:
    """Ten seconds of slow reads and of creates that the store has lost."""
    reads = [op(i / 10, took_ms=20, status=200 if steady or i > 40 else 503) for i in range(100)]
    reads = [replace(o, intended_ns=o.start_ns - int(late_s * 1e9)) for o in reads]
    return history(
        [*reads, *(op(i + 0.5, operation="create", value=f"w{i}") for i in range(10))], faults=[fault(5, 6)], final={}
    )


def test_every_finding_is_signed_by_its_checker() -> None:
    """Also behind a budget, so that a refutation can be told from another one with the same words."""
    recorded = history([op(1), op(5)], faults=[fault(3, 4)])
    _, _, findings = judge_by(with_budget(Succeeds(operation="read", at_least=1.0), 9)).of_history(recorded)
    assert [f.by for f in findings] == ["KeptSchedule", "SteadyBefore", "Succeeds", "SteadyAfter"]


@pytest.mark.parametrize(
    ("recorded", "service", "data"),
    [
        (seen(), REFUTED, REFUTED),
        (seen(late_s=0.5), INCONCLUSIVE, REFUTED),
        (seen(steady=False), INVALID, REFUTED),
    ],
    ids=["to be trusted", "the lab was late", "not steady before the fault"],
)
def test_who_cannot_be_trusted_refutes_nothing_about_the_service(
    recorded: History, service: Verdict, data: Verdict
) -> None:
    """A late lab measures itself; but what is lost is lost, and false beats unknown."""
    for checkers, verdict in (((SLOW,), service), ((LOST,), data), ((SLOW, LOST), data)):
        found, says, findings = judge_by(*checkers).of_history(recorded)
        assert found is verdict
        refuted = {f.by for f in findings if f.verdict is REFUTED}
        assert refuted == {by for by, v in (("Faster", service), ("Ledger", data)) if v is REFUTED} & {
            type(c).__name__ for c in checkers
        }
        assert says
    if service is not REFUTED:
        (slow,) = [f for f in judge_by(SLOW).of_history(recorded)[2] if f.by == "Faster"]
        assert "20 ms, below 1 ms expected; not believed, because of" in slow.says


def test_an_endless_checker_takes_nothing_from_the_others() -> None:
    """It is INCONCLUSIVE; a weakness found by another one is still the verdict."""
    endless = with_budget(Endless(), 0.2)
    verdict, _, findings = judge_by(endless, LOST).of_history(seen())
    assert verdict is REFUTED
    assert [f.verdict for f in findings if f.by == "Endless"] == [INCONCLUSIVE]
    held = history([op(i / 10) for i in range(100)], faults=[fault(5, 6)])
    assert judge_by(Endless(), wall=Wall(within_s=0.2)).of_history(held)[0] is INCONCLUSIVE


@dataclass(frozen=True, slots=True)
class Endless:
    """A checker without an end."""

    def __call__(self, history: History) -> Finding:
        """Never return."""
        while True:
            assert not history.snapshots


def test_what_a_finding_is_about_is_kept_in_the_folder(tmp_path: Path) -> None:
    """And a verdict of before is read as one about the service."""
    made = Finding(check="c", verdict=HELD, says="", checked=1, about=Subject.DATA)
    saved = Result(id="X", title="", hypothesis="", verdict=HELD, says="", findings=(made,), folder=tmp_path)
    results.save(saved)
    assert results.load(tmp_path).findings == (made,)
    record = json.loads((tmp_path / "verdict.json").read_text())
    del record["findings"][0]["about"]
    (tmp_path / "verdict.json").write_text(json.dumps(record))
    assert results.load(tmp_path).findings[0].about is Subject.SERVICE


def mixed(*, late: bool, failing: Sequence[float]) -> History:
    """Reads and writes of a register, a few of which fail, some late."""
    operations = []
    for number in range(200):
        at_s = number / 20
        failed = any(start <= at_s < start + 1 for start in failing)
        made = op(at_s, operation="write" if number % 2 else "read", status=503 if failed else 200)
        value = number if number % 2 else (number - 1 if number else None)
        made = replace(made, index=number, key="k", value=value, wrote=value if number % 2 else None)
        operations.append(replace(made, intended_ns=made.start_ns - (200_000_000 if late else 0)))
    return history(operations, faults=[fault(4, 5)])


@pytest.mark.parametrize("late", [False, True])
@pytest.mark.parametrize("failing", [(), (1,), (9,), (4,)])
def test_columns_are_judged_as_operations_are(late: bool, failing: Sequence[float]) -> None:  # noqa: FBT001  (a parameter)
    """Everything is found equal, but for the status in a witness."""
    recorded = mixed(late=late, failing=failing)
    judge = judge_by(Register(reads=("read",), writes=("write",)))
    slow, fast = judge.of_history(recorded), judge.of_columns(Columns.of(recorded.operations), recorded)
    assert slow[:2] == fast[:2]
    assert [replace(f, witness=()) for f in slow[2]] == [replace(f, witness=()) for f in fast[2]]
    assert [len(f.witness) for f in slow[2]] == [len(f.witness) for f in fast[2]]


def test_the_lab_s_own_checks_take_columns() -> None:
    """So that one slow reader among them does not hold up all long histories."""
    own = (KeptSchedule(), SteadyBefore(operation="x", share=1), SteadyAfter(operation="x", share=1))
    assert all(isinstance(checker, Columnar) for checker in own)
