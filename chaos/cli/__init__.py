"""The command line ``chaos-lab``.

Exit codes: 0 held, 1 a weakness was found, 2 wrong usage or configuration, 3 invalid or
inconclusive, 4 could not heal, 130 interrupted.
"""

from __future__ import annotations

import signal
import sys
import traceback
from importlib import metadata
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from chaos.cli import edges, evidence, experiments, healing, inject, prove, reports, stacks
from chaos.errors import LabError
from chaos.guard.first import heal_leftovers

app = typer.Typer(
    name="chaos-lab",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Break every dependency of a platform on purpose, and judge what its users saw.\n\n"
    "[dim]Exit codes: 0 held · 1 a weakness was found · 2 wrong usage or configuration · "
    "3 invalid or inconclusive · 4 could not heal[/dim]",
)
for part in (experiments, prove, reports, evidence, stacks, edges, inject, healing):
    part.register(app)


def _show_version(wanted: bool) -> None:  # noqa: FBT001  (as Typer calls it)
    if wanted:
        typer.echo(f"chaos-lab {metadata.version('chaos-lab')}")
        raise typer.Exit


@app.callback()
def _begin(
    context: typer.Context,
    _version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    if context.invoked_subcommand not in {"heal", "halt"} and not context.resilient_parsing:
        heal_leftovers(Path.cwd())


def main() -> None:
    """Run the command line and exit with the code that the design gives each outcome."""
    signal.signal(signal.SIGTERM, _terminate)
    try:
        app()
    except LabError as error:
        Console(stderr=True, highlight=False).print(f"[bold red]chaos-lab:[/] {_plain(error)}", soft_wrap=True)
        sys.exit(error.exit_code)
    except Exception:  # noqa: BLE001  (whatever it is, it is no weakness of the platform)
        traceback.print_exc()
        sys.exit(LabError.exit_code)


def _terminate(*_: object) -> None:
    """SIGTERM ends a run as Ctrl-C does."""
    raise KeyboardInterrupt


def _plain(error: LabError) -> str:
    """The error's text, safe from being read as markup."""
    return str(error).replace("[", "\\[")
