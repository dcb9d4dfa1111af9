"""A checker without an end, where experiments really run: in the runner's workers and in those of pytest-xdist."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from chaos.results import folder as results
from chaos.results.model import Verdict
from tests.support import project

ROOT = Path(__file__).parent.parent.parent
WITHIN_S = 0.5
SCENARIOS = """
from itertools import repeat

from chaos import Experiment, Mutation, OpenLoop, Request, Succeeds, Window, Down, DuringFaults, with_budget


def counting(lab):
    return repeat(Request(operation="count", path="/x"))


class Endless:
    def __call__(self, history):
        while True:
            pass


def experiment(id, *checkers, mutations=()):
    return Experiment(
        id=id, title="t", hypothesis="h", workloads=(OpenLoop(plan=counting, rate=40),),
        faults=(Window(fault=Down(), on="web.redis", duration_s=0.6),),
        checkers=checkers, mutations=mutations, steady_s=0.4, recovery_s=1.3,
    )


REFUTED = Succeeds(operation="count", at_least=1.0, during=DuringFaults(0.1))
one = experiment("T-1", Endless(), Succeeds(operation="count", at_least=0.1))
two = experiment("T-2", with_budget(REFUTED, 20), mutations=(Mutation(off="nothing", caught_by=Succeeds),))
"""

pytestmark = [pytest.mark.integration, pytest.mark.alone]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A project whose checkers have half a second each."""
    pyproject = project.PYPROJECT.replace("entry", f"check-within-s = {WITHIN_S}\nentry", 1)
    made = project.make(tmp_path / "p", scenarios=SCENARIOS, pyproject=pyproject)
    (made / "pytest.ini").write_text("[pytest]\npython_files = scenarios/*.py\naddopts = --import-mode=importlib\n")
    return made


def call(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a module of Python in *folder* to its end."""
    env = os.environ | {"PYTHONPATH": str(ROOT), "NO_COLOR": "1", "COLUMNS": "200"}
    command = [sys.executable, "-m", *arguments]
    return subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.parametrize(
    "command",
    [
        ["chaos", "run", "T-1"],
        ["pytest", "-p", "no:cacheprovider", "-q", "-n", "1", "scenarios", "-k", "T-1"],
    ],
    ids=["runner", "xdist"],
)
def test_it_is_inconclusive_and_takes_nothing_from_the_others(folder: Path, command: list[str]) -> None:
    """Killed in time; what the others found stays."""
    done = call(folder, *command)
    (result,) = results.load_all(folder / "results" / "latest")
    assert result.verdict is Verdict.INCONCLUSIVE, done.stdout + done.stderr
    assert done.returncode == (3 if command[0] == "chaos" else 1)
    found = {f.by: f for f in result.findings if f.verdict is not Verdict.HELD}
    assert found.keys() == {"Endless"}
    assert f"no answer after {WITHIN_S} s" in found["Endless"].says
    assert "Succeeds" in {f.by for f in result.findings}


def test_a_checker_behind_a_budget_kills_its_mutation(folder: Path) -> None:
    """It is signed by its own name, which the mutation names."""
    done = call(folder, "chaos", "prove", "T-2", "--json")
    proof: dict[str, Any] = json.loads(done.stdout)
    assert proof == {"mutations": 1, "killed": 1, "survived": []}, done.stderr
