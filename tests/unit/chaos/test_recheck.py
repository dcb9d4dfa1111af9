"""A saved run is judged again from its history alone, and says what is judged otherwise."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from chaos import Down, Experiment, OpenLoop, Succeeds, Window
from chaos.cli import app
from chaos.errors import HistoryError, LabError, UnknownNameError, UsageError
from chaos.history import Recorder
from chaos.history.reading import FAULT_FIELDS
from chaos.recheck import check, scenarios
from chaos.results import folder as results
from chaos.results.model import Bite, Result, Verdict
from tests.support import project

EXPERIMENTS = {
    # Not by its own name in this module: pytest would run it.
    "T-2": Experiment(
        id="T-2",
        title="Redis refuses, and nobody may notice",
        hypothesis="all requests succeed",
        workloads=(OpenLoop(plan=lambda _: iter(()), rate=40),),
        faults=(Window(fault=Down(), on="web.redis", duration_s=1),),
        checkers=(Succeeds(operation="count", at_least=1.0),),
        mutations=(),
    )
}
BITE = Bite(on="web.redis", expected="refused", measured="refused", held=True)


STEP_NS = 50_000_000
FAULT = {"fault": "Down()", "on": "web.redis"}


def record(folder: Path, status: int = 200, *, before: int = 200, finished: bool = True, scenario: str = "T-2") -> Path:
    """Six seconds, of which the third has a fault and answers of *status*, and the verdict HELD of T-2."""
    folder.mkdir(parents=True)
    with Recorder(folder, scenario) as recorder:
        for number in range(60):
            answer = before if number < 20 else status if number < 30 else 200
            fields = {"process": 1, "operation": "count", "key": None, "value": None}
            invoked = recorder.write("invoke", **fields, intended=0, idempotency_key=None)
            said = {"status": answer, "source": None, "retry_after": False, "attempts": 1, "error": None}
            recorder.write("ok" if answer == 200 else "info", invoked=invoked, **fields, **said)
        moments = (40, 40, 60, 60)
        recorder.write("fault", **FAULT, **dict(zip(FAULT_FIELDS[2:], (m * STEP_NS for m in moments), strict=True)))
    path = folder / "history.jsonl"
    entries = [json.loads(line) for line in path.read_text().splitlines()]
    for number, entry in enumerate(entries):  # on time, so that the schedule was kept
        entry["time"] = number * STEP_NS
        if "intended" in entry:
            entry["intended"] = entry["time"]
    path.write_text("".join(json.dumps(entry) + "\n" for entry in entries))
    if finished:
        held = Result(
            id="T-2", title="t", hypothesis="h", verdict=Verdict.HELD, says="held", bites=(BITE,), folder=folder
        )
        results.save(held)
    return folder


def test_a_history_is_judged_again_and_differences_are_told(tmp_path: Path) -> None:
    """What was recorded as held and is refuted by its history says so, and the folder stays as it was."""
    folder = record(tmp_path / "run" / "T-2", 503)
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    (again,) = check(tmp_path / "run", EXPERIMENTS)
    assert again.result.verdict is Verdict.REFUTED
    assert next(again.differences()) == "was HELD, is REFUTED"
    assert before == {path.name: path.read_bytes() for path in folder.iterdir()}


def test_a_run_that_did_not_finish_is_invalid(tmp_path: Path) -> None:
    """Its history is judged, but nothing says that its faults bit."""
    (again,) = check(record(tmp_path / "T-2", finished=False), EXPERIMENTS)
    assert again.result.verdict is Verdict.INVALID
    assert "the run did not finish" in again.result.says
    assert list(again.differences()) == ["no verdict was recorded: the run did not finish"]


def test_damage_is_refused_with_every_folder_at_once(tmp_path: Path) -> None:
    """A broken verdict and a broken history: both are named."""
    one, two = record(tmp_path / "a"), record(tmp_path / "b")
    (one / "verdict.json").write_text("{")
    (two / "history.jsonl").write_text("{\n")
    with pytest.raises(HistoryError, match=r"a/verdict\.json: is not a verdict(.|\n)*line 1: is not JSON"):
        check(tmp_path, EXPERIMENTS)


def test_a_verdict_of_another_scenario_is_refused(tmp_path: Path) -> None:
    """With both names: its bites say nothing about this history."""
    folder = record(tmp_path / "T-3", scenario="T-3")
    experiments = EXPERIMENTS | {"T-3": EXPERIMENTS["T-2"]}
    with pytest.raises(HistoryError, match=r"T-3: history\.jsonl is of 'T-3', but verdict\.json is of 'T-2'"):
        check(folder, experiments)


def test_a_history_that_names_no_scenario_is_refused(tmp_path: Path) -> None:
    """It is not one of a run."""
    folder = record(tmp_path / "T-2")
    text = (folder / "history.jsonl").read_text()
    (folder / "history.jsonl").write_text(text.replace('"scenario"', '"other"'))
    with pytest.raises(HistoryError, match="line 1: names no scenario"):
        check(folder, EXPERIMENTS)
    (folder / "history.jsonl").write_text("")
    with pytest.raises(HistoryError, match="line 1: names no scenario"):
        check(folder, EXPERIMENTS)


@pytest.mark.parametrize("within", ["200ms", None])
def test_an_endless_checker_does_not_hold_up_the_command(tmp_path: Path, within: str | None) -> None:
    """It is killed after --within, or after what the project says, and inconclusive: exit 3."""
    folder = record(tmp_path / "T-2")
    scenarios = project.SCENARIOS.replace(
        'Succeeds(operation="count", at_least=1.0, during=DuringFaults(0.1))', "lambda history: sum(iter(int, 1))"
    )
    pyproject = project.PYPROJECT if within else project.PYPROJECT.replace("entry", "check-within-s = 0.2\nentry", 1)
    root = project.make(tmp_path / "project", scenarios=scenarios, pyproject=pyproject)
    (root / "scenarios").rename(root / "endless")  # a module is imported once, whatever project it is of
    options = ["--json", "--root", str(root), "--scenarios", "endless", *(["--within", within] if within else [])]
    ran = CliRunner().invoke(app, ["check", str(folder), *options])
    assert ran.exit_code == 3, ran.output
    (said,) = json.loads(ran.stdout)
    assert said["verdict"] == "INCONCLUSIVE"
    assert "no answer after 0.2 s" in said["says"]


def test_a_folder_without_a_history_is_refused(tmp_path: Path) -> None:
    """With what to name instead."""
    with pytest.raises(UsageError, match="has no history: name the folder of a run, such as results/latest"):
        scenarios(tmp_path)
    with pytest.raises(UsageError, match="is not a folder"):
        scenarios(tmp_path / "nowhere")


def test_a_history_of_an_unknown_experiment_is_refused(tmp_path: Path) -> None:
    """With the experiments there are."""
    with pytest.raises(UnknownNameError, match=r"'T-2'.*There are: T-9"):
        check(record(tmp_path / "T-2"), {"T-9": EXPERIMENTS["T-2"]})


@pytest.mark.parametrize(
    ("before", "status", "save", "exit_code"),
    [(200, 200, False, 0), (200, 503, False, 1), (200, 503, True, 1), (503, 503, False, 3)],
)
def test_the_command_exits_as_the_run_would(
    tmp_path: Path, before: int, status: int, *, save: bool, exit_code: int
) -> None:
    """Held 0, refuted 1, no steady state before the fault 3; the verdict on disk changes only with --save."""
    folder = record(tmp_path / "T-2", status, before=before)
    experiments = project.SCENARIOS.replace("at_least=1.0, during=DuringFaults(0.1)", "at_least=1.0")
    root = project.make(tmp_path / "project", scenarios=experiments)
    options = ["--json", "--root", str(root), *(["--save"] if save else [])]
    ran = CliRunner().invoke(app, ["check", str(folder), *options])
    assert ran.exit_code == exit_code, ran.output
    (said,) = json.loads(ran.stdout)
    assert (said["id"], said["recorded"]) == ("T-2", "HELD")
    assert said["differences"]
    assert results.load(folder).verdict == (said["verdict"] if save else "HELD")


@pytest.mark.parametrize("to", ["edn", "porcupine"])
def test_a_history_is_exported_to_a_file_or_to_standard_output(tmp_path: Path, to: str) -> None:
    """The same text either way; several histories at once are refused."""
    folder = record(tmp_path / "T-2")
    shown = CliRunner().invoke(app, ["export", str(folder), "--format", to])
    written = CliRunner().invoke(app, ["export", str(folder), "--format", to, "--out", str(tmp_path / "x")])
    assert (shown.exit_code, written.exit_code) == (0, 0)
    assert (tmp_path / "x").read_text() == shown.stdout != ""
    record(tmp_path / "T-3")
    refused = CliRunner().invoke(app, ["export", str(tmp_path), "--format", to])
    assert isinstance(refused.exception, LabError)
    assert "name one: T-2, T-3" in str(refused.exception)
