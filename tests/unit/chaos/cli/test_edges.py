"""``chaos-lab faults``: what is wrong is said in the words of the faults."""

import json
from pathlib import Path
from typing import get_args

import pytest
from typer.testing import CliRunner

from chaos.cli import app
from chaos.guard import log, undo
from chaos.guard.undo import DropCommitGate, Enable, RemoveToxic, Resume, Start, Stop, Undo

URL = "http://127.0.0.1:8474"
WORDS = {
    Enable(toxiproxy=URL, proxy="web.redis"): "down",
    RemoveToxic(toxiproxy=URL, proxy="web.redis", toxic="latency-7-1"): "latency-7-1",
    Resume(process="redis"): "paused",
    Start(process="redis"): "killed",
    Start(process="redis", held=False): "restarted",
    DropCommitGate(): "transactions held inside COMMIT",
    Stop(fault="Flapping(fault=Down(), on_ms=50, off_ms=50)"): "Flapping(fault=Down(), on_ms=50, off_ms=50)",
}


@pytest.mark.parametrize("owed", WORDS, ids=repr)
def test_what_is_wrong_is_said_in_the_words_of_the_faults(tiny: Path, owed: Undo) -> None:
    """As a table and as JSON: what is active, and not what heals it."""
    book = log.UndoLog.create(tiny, log.Lab(runner=log.Runner.this(), edges=(), postgres="127.0.0.1:5432"))
    pyproject = tiny / "pyproject.toml"
    pyproject.write_text(pyproject.read_text() + "[tool.chaos-lab.postgres]\n")
    book.enter(1, owed, 5)
    shown = CliRunner().invoke(app, ["faults", "--root", str(tiny)], catch_exceptions=False, env={"COLUMNS": "200"})
    told = CliRunner().invoke(app, ["faults", "--json", "--root", str(tiny)], catch_exceptions=False)
    book.close(remove=True)
    (fault,) = json.loads(told.stdout)
    assert fault["what"] == WORDS[owed]
    assert WORDS[owed] in shown.stdout


def test_no_kind_of_fault_is_without_a_word() -> None:
    """Whatever can be owed is among those above."""
    kinds = get_args(get_args(undo.Undo)[0])
    assert {type(owed) for owed in WORDS} == set(kinds)
