"""Options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Root = Annotated[
    Path,
    typer.Option("--root", help="Folder of the project's pyproject.toml.", show_default="this folder", file_okay=False),
]
Scenarios = Annotated[
    str | None,
    typer.Option("--scenarios", help="Folder with experiments, from the project's folder.", show_default="scenarios"),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON on standard output, and nothing else there.")]
