"""``chaos-lab check`` and ``chaos-lab export``: saved runs, judged again and handed on."""

from __future__ import annotations

import json
from dataclasses import replace
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from chaos import catalogue
from chaos import config as configuration
from chaos.cli.experiments import EXIT_CODES
from chaos.cli.inject import duration
from chaos.cli.live import Doing, verdict_text
from chaos.cli.options import Json, Root, Scenarios
from chaos.errors import UsageError, disk_errors
from chaos.recheck import Recheck
from chaos.results import folder as results
from chaos.results.model import worst

Folder = Annotated[Path, typer.Argument(help="Of a run, such as results/latest, or of one scenario in it.")]


_Within = Annotated[
    float | None,
    typer.Option(
        "--within",
        help="How long each checker may take: 30s, 10m; at most 1h.",
        parser=duration,
        metavar="TIME",
        show_default="check-within-s of [tool.chaos-lab], else 60s",
    ),
]


class Format(StrEnum):
    """What others can read."""

    EDN = "edn"
    PORCUPINE = "porcupine"


def register(app: typer.Typer) -> None:
    """Add the commands of this module to *app*."""
    app.command("check")(check)
    app.command("export")(export)


def check(
    folder: Folder,
    save: Annotated[bool, typer.Option("--save", help="Write the new verdicts into the folder.")] = False,
    within_s: _Within = None,
    scenarios: Scenarios = None,
    as_json: Json = False,
    root: Root = Path(),
) -> None:
    """Judge a saved run again from its histories; runs nothing, and writes nothing without --save.

    Says what is judged otherwise than it was then. Exits as the run would: 0 held, 1 a weakness
    was found, 3 invalid, inconclusive or damaged. A checker without an answer in time is killed,
    and inconclusive.

    Examples:
      chaos-lab check results/latest

      chaos-lab check results/latest/PG-01 --within 10m --json
    """
    from chaos import recheck  # noqa: PLC0415  (needed by this command alone)
    from chaos.wall import Wall  # noqa: PLC0415

    config = configuration.load(root.resolve(), scenarios)
    wall = Wall.of(config.settings)
    with Doing(Console(stderr=True), quiet=as_json) as doing:
        wall = replace(wall, within_s=within_s or wall.within_s)
        found = recheck.check(folder, catalogue.load(config), wall, doing.say)
    if save:
        for one in found:
            results.save(one.result)
    console = Console(stderr=as_json, highlight=False)
    for one in found:
        console.print(verdict_text(one.result.verdict), f"{one.result.id} {one.result.title}", style="bold")
        for difference in one.differences():
            console.print(f"  {difference}", soft_wrap=True, markup=False)
    if as_json:
        typer.echo(json.dumps([_record(one) for one in found], ensure_ascii=False))
    raise typer.Exit(EXIT_CODES[worst(one.result.verdict for one in found)])


def export(
    folder: Folder,
    to: Annotated[Format, typer.Option("--format", help="Jepsen's EDN, or Porcupine's events as JSON lines.")],
    out: Annotated[Path | None, typer.Option("--out", help="File.", show_default="standard output")] = None,
    as_json: Json = False,
) -> None:
    """Write one scenario's history for another checker.

    With --json standard output is one object, which holds the text unless it is in a file.

    Examples:
      chaos-lab export results/latest/PG-01 --format edn > history.edn

      chaos-lab export results/latest/PG-01 --format porcupine --out events.jsonl
    """
    from chaos import recheck  # noqa: PLC0415  (needed by this command alone)
    from chaos.export import FORMATS  # noqa: PLC0415

    found = recheck.scenarios(folder)
    if len(found) > 1:
        msg = f"{folder} has {len(found)} histories; name one: {', '.join(path.name for path in found)}"
        raise UsageError(msg)
    with Doing(Console(stderr=True), quiet=as_json) as doing:
        doing.say("writing the history")
        text = "".join(f"{line}\n" for line in FORMATS[to](found[0]))
    if out is not None:
        with disk_errors(out):
            out.write_text(text, encoding="utf-8")
    if as_json:
        where: dict[str, Any] = {"out": None, "text": text} if out is None else {"out": str(out), "text": None}
        typer.echo(json.dumps({"scenario": found[0].name, "format": to, **where}, ensure_ascii=False))
    elif out is None:
        typer.echo(text, nl=False)


def _record(one: Recheck) -> dict[str, Any]:
    recorded = one.recorded.verdict if one.recorded else None
    return {
        "id": one.result.id,
        "verdict": one.result.verdict,
        "says": one.result.says,
        "recorded": recorded,
        "differences": list(one.differences()),
    }
