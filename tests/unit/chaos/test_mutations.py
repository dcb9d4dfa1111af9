"""A mutation is killed by the check that it names, and by nothing else."""

from dataclasses import replace
from pathlib import Path

import pytest

from chaos import Faster, Mutation
from chaos.cli.prove import _proof
from chaos.results.model import Finding, Result, Subject, Verdict

MUTATION = Mutation(off="a.b.breaker", caught_by=Faster)


def result(verdict: Verdict, *findings: tuple[str, Verdict]) -> Result:
    """A result whose findings are signed by those checkers."""
    made = tuple(Finding(check="c", verdict=v, says="", checked=1, by=by) for by, v in findings)
    return Result(id="X-1", title="", hypothesis="", verdict=verdict, says="", findings=made, folder=Path())


@pytest.mark.parametrize(
    ("run", "killed"),
    [
        (result(Verdict.REFUTED, ("Faster", Verdict.REFUTED)), True),
        (result(Verdict.REFUTED, ("Succeeds", Verdict.REFUTED), ("Faster", Verdict.HELD)), False),
        (result(Verdict.INVALID, ("Faster", Verdict.REFUTED)), False),
        (result(Verdict.HELD, ("Faster", Verdict.HELD)), False),
    ],
    ids=["for the reason named", "for another reason", "the fault did not bite", "nobody noticed"],
)
def test_a_mutation_dies_for_the_reason_it_names(run: Result, killed: bool) -> None:  # noqa: FBT001  (a parameter)
    """Refuted by another check, or not judged at all, it has survived."""
    assert MUTATION.is_killed_by(run) is killed


def test_a_proof_names_what_survived() -> None:
    """With what was switched off, who should have noticed, and what was seen instead."""
    good, bad = result(Verdict.REFUTED, ("Faster", Verdict.REFUTED)), result(Verdict.HELD, ("Faster", Verdict.HELD))
    assert _proof([(MUTATION, good), (MUTATION, bad)]) == {
        "mutations": 2,
        "killed": 1,
        "survived": [{"id": "X-1", "off": "a.b.breaker", "caught_by": "Faster", "verdict": "HELD", "says": ""}],
    }


@pytest.mark.parametrize("by", ["KeptSchedule", "SteadyBefore"])
@pytest.mark.parametrize("about", [Subject.SERVICE, Subject.DATA])
def test_a_run_that_cannot_be_trusted_kills_no_mutation(by: str, about: Subject) -> None:
    """Whatever was refuted when the lab was late, or the platform not steady before the fault."""
    caught = Finding(check="c", verdict=Verdict.REFUTED, says="", checked=1, by="Faster", about=about)
    run = result(Verdict.REFUTED)
    held, doubted = (
        replace(run, findings=(Finding(check="r", verdict=v, says="", checked=1, by=by, about=Subject.RUN), caught))
        for v in (Verdict.HELD, Verdict.INCONCLUSIVE)
    )
    assert MUTATION.is_killed_by(held)
    assert not MUTATION.is_killed_by(doubted)
