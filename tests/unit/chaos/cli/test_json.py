"""``--json`` everywhere: every command has it, and prints nothing else on standard output."""

import json
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
import typer
from typer.testing import CliRunner

from chaos.cli import app
from chaos.history import Recorder


def commands(group: click.Command, name: str = "") -> Iterator[tuple[str, click.Command]]:
    """Every command below *group*, by what is written for it."""
    for word, command in getattr(group, "commands", {}).items():
        yield from commands(command, f"{name} {word}".strip())
    if not hasattr(group, "commands"):
        yield name, group


def test_every_command_has_json() -> None:
    """Whatever is registered, each fault of ``inject`` too."""
    found = dict(commands(typer.main.get_command(app)))
    assert {"run", "up", "export", "inject kill"} <= set(found)
    without = [name for name, command in found.items() if "--json" not in {o for p in command.params for o in p.opts}]
    assert without == []


@pytest.mark.parametrize("kind", ["edn", "porcupine"])
def test_export_tells_as_json_what_it_wrote(tmp_path: Path, kind: str) -> None:
    """The history itself, or the file that it is in."""
    with Recorder(tmp_path / "T-1", "T-1") as recorder:
        sent = {"process": 1, "operation": "write", "key": "k", "value": 1}
        index = recorder.write("invoke", **sent, intended=1, idempotency_key=None)
        recorder.write("ok", **sent, invoked=index, status=200, source=None, retry_after=False, attempts=1, error=None)

    def call(*more: str) -> str:
        arguments = ["export", str(tmp_path / "T-1"), "--format", kind, *more]
        return CliRunner().invoke(app, arguments, catch_exceptions=False).stdout

    plain = call()
    assert "write" in plain
    assert json.loads(call("--json")) == {"scenario": "T-1", "format": kind, "out": None, "text": plain}
    out = tmp_path / "out"
    told = json.loads(call("--json", "--out", str(out)))
    assert told == {"scenario": "T-1", "format": kind, "out": str(out), "text": None}
    assert out.read_text() == plain
