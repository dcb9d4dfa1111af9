"""``chaos-lab run`` and ``chaos-lab list``."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from chaos import catalogue
from chaos import config as configuration
from chaos.cli.live import Doing, Progress, verdict_text
from chaos.cli.options import Json, Root, Scenarios
from chaos.errors import LabError
from chaos.experiment import Experiment
from chaos.results import folder as results
from chaos.results.model import Result, Verdict, details, worst

EXIT_CODES = {Verdict.HELD: 0, Verdict.REFUTED: 1, Verdict.INVALID: 3, Verdict.INCONCLUSIVE: 3}


def register(app: typer.Typer) -> None:
    """Add the commands of this module to *app*."""
    app.command("run")(run)
    app.command("list")(list_)


def _complete_ids(incomplete: str) -> list[str]:
    """Ids for shell completion; none where the project cannot be read."""
    try:
        experiments = catalogue.load(configuration.load(Path.cwd()))
    except LabError:
        return []
    return [name for name in experiments if name.startswith(incomplete.upper())]


Ids = Annotated[
    list[str] | None,
    typer.Argument(help="Ids or globs, such as PG-01 or 'PG-*'; all when left out.", autocompletion=_complete_ids),
]


def run(
    ids: Ids = None,
    workers: Annotated[
        int | None, typer.Option("--workers", "-w", min=1, max=64, help="Labs side by side.", show_default="one a core")
    ] = None,
    out: Annotated[Path | None, typer.Option("--results", help="Folder for results.", show_default="results")] = None,
    scenarios: Scenarios = None,
    as_json: Json = False,
    root: Root = Path(),
) -> None:
    """Run experiments, each on a fresh lab of its own, and judge them.

    Every run leaves a folder with the report, the histories and the verdicts; results/latest
    points at it. A safeguard named in RESILIENCE_DISABLE is switched off, to see the hypothesis
    refuted without it.

    Examples:
      chaos-lab run

      chaos-lab run PG-01 'ORB-*' --workers 2

      RESILIENCE_DISABLE=widget-core.postgres.breaker chaos-lab run PG-01
    """
    from chaos import runner  # noqa: PLC0415  (needed by this command alone)

    config = configuration.load(root.resolve(), scenarios)
    chosen = catalogue.select(catalogue.load(config), ids or [])
    if not chosen:
        msg = f"no experiments in {config.root / config.settings.scenarios}"
        raise LabError(msg)
    console = Console(stderr=True, highlight=False)
    crew = workers or runner.default_workers(len(chosen))
    folder = results.new_folder(out or config.root / config.settings.results)
    began = time.monotonic()
    failure: LabError | KeyboardInterrupt | None = None
    jobs = [runner.Job(experiment=experiment) for experiment in chosen]
    with Progress(jobs, console) as progress:
        try:
            runner.run_all(jobs, config, folder, workers=crew, say=progress.say, listen=progress.hear)
        except (LabError, KeyboardInterrupt) as error:
            failure = error  # what has finished is reported all the same
    found = results.load_all(folder)
    summary = results.finish(folder, found, wall_s=time.monotonic() - began, workers=crew, root=config.root)
    _conclude(console, folder, found, summary, as_json=as_json)
    if failure:
        raise failure
    raise typer.Exit(EXIT_CODES[worst(result.verdict for result in found)])


def _conclude(console: Console, folder: Path, found: list[Result], summary: dict[str, Any], *, as_json: bool) -> None:
    """Write the report, and tell people, programs and CI what came out."""
    from chaos.cli.summary import sparklines  # noqa: PLC0415  (needed after a run alone)
    from chaos.report import page  # noqa: PLC0415  (plotly takes a moment to load)

    with Doing(console) as doing:
        doing.say("writing the report")
        chapters = page.load(found)
        report = page.write(folder, chapters, summary)
    console.print(sparklines(chapters, console))
    _tell(console, found, report, summary, as_json=as_json)
    results.publish(folder)


def _tell(console: Console, found: list[Result], report: Path, summary: dict[str, Any], *, as_json: bool) -> None:
    for result in found:
        if result.verdict is not Verdict.HELD:
            console.print(verdict_text(result.verdict), f"{result.id} {result.title}", style="bold")
            console.print(result.says, soft_wrap=True, markup=False)
            console.print(details(result), style="dim", soft_wrap=True, markup=False)
    counts = ", ".join(f"{summary[v.lower()]} {v.lower()}" for v in Verdict if summary[v.lower()])
    console.print(f"{counts or 'nothing ran'} · {summary['wall_s']} s · report: {_short(report)}", soft_wrap=True)
    if as_json:
        verdicts = [{"id": r.id, "verdict": r.verdict, "says": r.says} for r in found]
        typer.echo(json.dumps(summary | {"results": verdicts, "report": str(report)}, ensure_ascii=False))


def _short(path: Path) -> str:
    """*path* from here, where that is shorter."""
    relative = os.path.relpath(path)
    return relative if len(relative) < len(str(path)) else str(path)


def list_(scenarios: Scenarios = None, as_json: Json = False, root: Root = Path()) -> None:
    """List the experiments, what they break and which safeguards they try.

    Examples:
      chaos-lab list

      chaos-lab list --json | jq '.[].id'
    """
    experiments = catalogue.load(configuration.load(root.resolve(), scenarios)).values()
    if as_json:
        typer.echo(json.dumps([_record(e) for e in experiments], ensure_ascii=False))
    else:
        Console().print(_table(experiments))


def _record(experiment: Experiment) -> dict[str, Any]:
    faults = [
        {"fault": repr(w.fault), "on": w.on, "start_s": w.start_s, "duration_s": w.duration_s}
        for w in experiment.faults
    ]
    return {
        "id": experiment.id,
        "title": experiment.title,
        "hypothesis": experiment.hypothesis,
        "faults": faults,
        "mutations": [{"off": m.off, "caught_by": m.caught_by.__name__} for m in experiment.mutations],
    }


def _table(experiments: Iterable[Experiment]) -> Table:
    table = Table("Id", "What is done", "Edges", "Refuted without", box=None, header_style="dim")
    for experiment in experiments:
        edges = ", ".join(dict.fromkeys(w.on for w in experiment.faults))
        table.add_row(experiment.id, experiment.title, edges, "\n".join(m.off for m in experiment.mutations))
    return table
