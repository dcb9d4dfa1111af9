"""Options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Final

import typer

from chaos.guard.first import heal_leftovers

_ROOT: Final[dict[str, Any]] = {
    "help": "Folder of the project's pyproject.toml.",
    "show_default": "this folder",
    "file_okay": False,
}


def _healed(context: typer.Context, root: Path) -> Path:
    if not context.resilient_parsing:
        heal_leftovers(root.resolve())
    return root


Root = Annotated[Path, typer.Option("--root", callback=_healed, **_ROOT)]
"""Whatever a command does: first it heals what was left behind."""

RootAsItIs = Annotated[Path, typer.Option("--root", **_ROOT)]
"""For the commands that heal on purpose."""

Scenarios = Annotated[
    str | None,
    typer.Option("--scenarios", help="Folder with experiments, from the project's folder.", show_default="scenarios"),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON on standard output, and nothing else there.")]
