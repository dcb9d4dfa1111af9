"""What may take longer than two seconds says on a terminal what it is at, and nowhere else."""

import io
import json
from pathlib import Path

import pytest
from rich.console import Console
from typer.testing import CliRunner

from chaos.cli import app, experiments
from chaos.guard import log
from chaos.guard.undo import Stop
from chaos.history import Recorder
from chaos.results import folder as results
from chaos.results.model import Result, Verdict

TERMINAL = {"FORCE_COLOR": "1", "TERM": "xterm", "COLUMNS": "200"}
PLAIN = {"FORCE_COLOR": None, "COLUMNS": "200"}


@pytest.fixture
def run(tiny: Path) -> Path:
    """The folder of a run of one scenario of the tiny platform."""
    folder = tiny / "results" / "1"
    with Recorder(folder / "T-1", "T-1") as recorder:
        recorder.write("phase", name="steady state")
    result = Result(id="T-1", title="t", hypothesis="h", verdict=Verdict.HELD, says="s", folder=folder / "T-1")
    results.save(result)
    results.finish(folder, [result], wall_s=1, workers=1)
    return folder


@pytest.mark.parametrize(
    ("command", "says"),
    [
        (["check", "{run}", "--root", "{root}"], ["judging T-1 (1 of 1)"]),
        (["report", "{run}"], ["reading 1 history", "writing the page"]),
        (["export", "{run}", "--format", "edn"], ["writing the history"]),
    ],
    ids=lambda value: value[0],
)
def test_a_command_says_what_it_is_at(run: Path, command: list[str], says: list[str]) -> None:
    """On standard error, if that is a terminal and nobody asked for JSON."""
    arguments = [word.format(run=run, root=run.parent.parent) for word in command]
    shown = CliRunner().invoke(app, arguments, env=TERMINAL).stderr
    assert [text for text in says if text not in shown] == []
    for done in (
        CliRunner().invoke(app, arguments, env=PLAIN),
        CliRunner().invoke(app, [*arguments, "--json"], env=TERMINAL),
    ):
        assert [text for text in says if text in done.output] == []


def test_the_report_after_a_run_is_announced(run: Path) -> None:
    """It may take longer than the experiments."""
    console = Console(file=io.StringIO(), force_terminal=True, width=200)
    summary = json.loads((run / "summary.json").read_text())
    experiments._conclude(console, run, results.load_all(run), summary, as_json=False)
    assert "writing the report" in console.file.getvalue()


@pytest.mark.parametrize("env", [TERMINAL, PLAIN])
def test_healing_what_was_left_behind_is_announced(tiny: Path, env: dict[str, str | None]) -> None:
    """Whichever command does it; afterwards all are told that it was done."""
    gone = log.Lab(runner=log.Runner(pid=4_194_305, started=1), edges=())
    book = log.UndoLog.create(tiny, gone)
    book.enter(1, Stop(fault="Flapping"), 5)
    book.close(remove=False)
    said = CliRunner().invoke(app, ["list", "--root", str(tiny)], env=env).stderr
    assert ("healing what was left behind" in said) is (env is TERMINAL)
    assert "chaos-lab: healed 1 fault(s) that process 4194305 left behind" in said
