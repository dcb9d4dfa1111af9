"""``chaos-lab prove``: a scenario that holds without its safeguard proves nothing."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from chaos import catalogue
from chaos import config as configuration
from chaos.cli.experiments import Ids
from chaos.cli.live import Doing, Progress
from chaos.cli.options import Json, Root, Scenarios
from chaos.errors import UsageError
from chaos.experiment import Mutation
from chaos.results import folder as results
from chaos.results.model import Result


def register(app: typer.Typer) -> None:
    """Add the command of this module to *app*."""
    app.command("prove")(prove)


def prove(
    ids: Ids = None,
    workers: Annotated[
        int | None, typer.Option("--workers", "-w", min=1, max=64, help="Labs side by side.", show_default="one a core")
    ] = None,
    scenarios: Scenarios = None,
    as_json: Json = False,
    root: Root = Path(),
) -> None:
    """Run every experiment without its safeguards, and expect each to be refuted for the reason it names.

    Writes prove.json into the run's folder; results/latest points at it. Exit 0 when every
    mutation was killed, 1 when one survived.

    Examples:
      chaos-lab prove

      chaos-lab prove 'CON-*' --json
    """
    from chaos import runner  # noqa: PLC0415  (needed by few commands)
    from chaos.report import page  # noqa: PLC0415  (plotly takes a moment to load)

    config = configuration.load(root.resolve(), scenarios)
    chosen = catalogue.select(catalogue.load(config), ids or [])
    mutations = [(experiment, mutation) for experiment in chosen for mutation in experiment.mutations]
    if not mutations:
        msg = f"no mutations in {', '.join(e.id for e in chosen) or 'no experiments'}: nothing can be proved"
        raise UsageError(msg)
    jobs = [runner.Job(experiment=experiment, disable=mutation.off) for experiment, mutation in mutations]
    console = Console(stderr=True, highlight=False)
    crew = workers or runner.default_workers(len(jobs))
    folder = results.new_folder(config.root / config.settings.results)
    began = time.monotonic()
    with Progress(jobs, console) as progress:
        runner.run_all(jobs, config, folder, workers=crew, say=progress.say, listen=progress.hear)
    found = [results.load(folder / job.name) for job in jobs]
    summary = results.finish(folder, found, wall_s=time.monotonic() - began, workers=crew, root=config.root)
    with Doing(console) as doing:
        doing.say("writing the report")
        page.write(folder, page.load(found), summary)
    proof = _proof([(mutation, result) for (_, mutation), result in zip(mutations, found, strict=True)])
    results.write_proof(folder, proof)
    _tell(console, proof, as_json=as_json)
    raise typer.Exit(1 if proof["survived"] else 0)


def _proof(tried: Sequence[tuple[Mutation, Result]]) -> dict[str, Any]:
    """What ``prove.json`` says."""
    survived = [_survivor(mutation, result) for mutation, result in tried if not mutation.is_killed_by(result)]
    return {"mutations": len(tried), "killed": len(tried) - len(survived), "survived": survived}


def _survivor(mutation: Mutation, result: Result) -> dict[str, str]:
    return {
        "id": result.id,
        "off": mutation.off,
        "caught_by": mutation.caught_by.__name__,
        "verdict": result.verdict,
        "says": result.says,
    }


def _tell(console: Console, proof: dict[str, Any], *, as_json: bool) -> None:
    for one in proof["survived"]:
        console.print(f"✗ survived: {one['id']} without {one['off']}", style="bold red")
        console.print(
            f"  expected {one['caught_by']} to refute it; {one['verdict']}: {one['says']}", soft_wrap=True, markup=False
        )
    console.print(f"{proof['killed']} of {proof['mutations']} mutations killed")
    if as_json:
        typer.echo(json.dumps(proof, ensure_ascii=False))
