"""``chaos-lab report``: the page, the tables and the pictures of a run that is already there."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from chaos.cli.live import Doing
from chaos.cli.options import Json
from chaos.errors import UsageError
from chaos.results import folder as results


def register(app: typer.Typer) -> None:
    """Add the commands of this module to *app*."""
    app.command("report")(report)


def report(
    folder: Annotated[Path, typer.Argument(help="Of a run.", show_default="results/latest")] = Path("results/latest"),
    images: Annotated[
        bool, typer.Option("--images", help="Draw every lane as SVG and PNG too; needs Chromium.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Write the report of a saved run anew: its page, and each lane as CSV.

    With --images each picture is also drawn as SVG and PNG, beside the CSV files. That takes a
    Chromium or Chrome: the first on PATH, or the one that CHAOS_LAB_BROWSER names.

    Examples:
      chaos-lab report

      chaos-lab report results/20260101T120000Z-1 --images
    """
    from chaos.cli.images import draw, find_browser  # noqa: PLC0415  (needed by this command alone)
    from chaos.cli.summary import sparklines  # noqa: PLC0415
    from chaos.report import page  # noqa: PLC0415  (plotly takes a moment to load)

    browser = find_browser() if images else None
    found = results.load_all(folder)
    if not found:
        msg = (
            f"{str(folder)!r} is not the folder of a run: no */{results.VERDICT_FILE} in it; 'chaos-lab run' makes one"
        )
        raise UsageError(msg)
    console = Console(stderr=True, highlight=False)
    with Doing(console, quiet=as_json) as doing:
        doing.say(f"reading {len(found)} histor{'y' if len(found) == 1 else 'ies'}")
        chapters = page.load(found)
        doing.say("writing the page")
        written = page.write(folder, chapters, results.load_summary(folder))
        if browser:
            doing.say("drawing the pictures")
        drawn = draw(written, chapters, browser) if browser else []
    console.print(sparklines(chapters, console))
    console.print(f"report: {written}" + (f" · {len(drawn)} pictures" if images else ""), soft_wrap=True)
    if as_json:
        typer.echo(json.dumps({"report": str(written), "images": [str(path) for path in drawn]}))
