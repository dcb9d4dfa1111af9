"""``chaos-lab report``: a saved run is shown again, and what is no run is named."""

import json
import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner

from chaos.cli import app
from chaos.errors import HistoryError, MissingToolError, UsageError
from chaos.history import Recorder
from chaos.report import page
from chaos.results import folder as results
from chaos.results.model import Result, Verdict


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The folder of a run of one scenario."""
    with Recorder(tmp_path / "T-1", "T-1") as recorder:
        recorder.write("phase", name="steady state")
    result = Result(id="T-1", title="t", hypothesis="h", verdict=Verdict.HELD, says="s", folder=tmp_path / "T-1")
    results.save(result)
    summary = results.finish(tmp_path, [result], wall_s=1, workers=1)
    page.write(tmp_path, page.load([result]), summary)
    return tmp_path


def call(*arguments: str) -> str:
    """What ``chaos-lab report`` prints on standard output; its errors are raised."""
    done = CliRunner().invoke(app, ["report", *arguments], catch_exceptions=False)
    assert done.exit_code == 0
    return done.stdout


def test_the_page_and_the_tables_are_written_anew(folder: Path) -> None:
    """The same bytes as after the run: nothing in them depends on when they are written."""
    before = {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    (folder / "report.html").unlink()
    shutil.rmtree(folder / "T-1" / "lanes")
    told = json.loads(call(str(folder), "--json"))
    assert told == {"report": str(folder / "report.html"), "images": []}
    assert before == {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_folder_that_is_no_run_is_named(tmp_path: Path) -> None:
    """With the way out."""
    with pytest.raises(UsageError, match=r"is not the folder of a run.*'chaos-lab run' makes one"):
        call(str(tmp_path))


def test_a_damaged_history_is_named(folder: Path) -> None:
    """With its line."""
    path = folder / "T-1" / "history.jsonl"
    path.write_text(path.read_text() + "{}x\n")
    with pytest.raises(HistoryError, match=r"history\.jsonl line 3"):
        call(str(folder))


def test_pictures_without_a_browser_are_refused_before_anything_is_written(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The report that is there stays as it is."""
    monkeypatch.setenv("CHAOS_LAB_BROWSER", "/no/such/browser")
    (folder / "report.html").write_text("as it was")
    with pytest.raises(MissingToolError, match="/no/such/browser"):
        call(str(folder), "--images")
    assert (folder / "report.html").read_text() == "as it was"
