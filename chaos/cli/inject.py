"""``chaos-lab inject``: one fault on the platform that runs, for some time."""

from __future__ import annotations

import inspect
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Final

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, Task, TextColumn
from rich.progress_bar import ProgressBar

from chaos import config as configuration
from chaos.cli import fault_options
from chaos.cli.edges import complete_targets
from chaos.cli.live import Doing
from chaos.cli.options import Json, Root
from chaos.cli.rehearsal import Sent, rehearse
from chaos.clock import NS_PER_S, now_ns
from chaos.faults.fault import Fault, inject
from chaos.lab import Lab, attached
from chaos.results.model import Bite

FOR_AT_MOST_S: Final = 3600.0
OVERDUE_S: Final = 5.0
"""How much longer than asked for a fault may stay, should this command hang."""

_DURATION: Final = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h)")
_UNIT_S: Final = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}


def register(app: typer.Typer) -> None:
    """Add the command of this module, with one command below it for each fault, to *app*."""
    group = typer.Typer(no_args_is_help=True, subcommand_metavar="FAULT [OPTIONS]", rich_markup_mode="rich")
    group.callback()(choose)
    for name, fault in fault_options.all_faults().items():
        group.command(name)(fault_options.command(fault, _act, _COMMON))
    app.add_typer(group, name="inject")


def choose(
    context: typer.Context,
    on: Annotated[
        str,
        typer.Argument(
            help="Edges, as a name or glob: 'widget-core.*'; for kill, pause and restart processes: 'widget-*'.",
            autocompletion=complete_targets,
            metavar="ON",
        ),
    ],
) -> None:
    """Inject a fault on the platform that runs, hold it for some time, heal it and prove that it is healed.

    It acts on what 'chaos-lab up' started, or on the Toxiproxy that TOXIPROXY_URL names: there on
    edges only, since kill, pause and restart need processes of a 'chaos-lab up' of this project.
    Ctrl-C ends it early; whatever ends this command, the guard heals what is left.

    Examples:
      chaos-lab inject 'widget-core.*' latency --delay-ms 800 --jitter-ms 100 --for 30s

      chaos-lab inject '*.postgres' down --for 5s --dry-run

      chaos-lab inject gateway.redis blackhole --for 2m --detach

      chaos-lab inject postgres kill --for 10s
    """
    context.obj = on


def duration(text: str | float) -> float:
    """Seconds of a text such as "500ms", "30s", "2m"."""
    if isinstance(text, float):
        return text
    read = _DURATION.fullmatch(text)
    seconds = float(read[1]) * _UNIT_S[read[2]] if read else 0.0
    if not 0 < seconds <= FOR_AT_MOST_S:
        msg = f"{text!r} is no time between 1ms and 1h; write it like 500ms, 30s or 2m"
        raise typer.BadParameter(msg)
    return seconds


_For = Annotated[
    float,
    typer.Option(
        "--for", help="How long: 500ms, 30s, 2m; at most 1h.", parser=duration, metavar="TIME", show_default="30s"
    ),
]
_DryRun = Annotated[bool, typer.Option("--dry-run", help="Print what would be sent, and send nothing.")]
_Detach = Annotated[bool, typer.Option("--detach", help="Return at once; the guard heals it in time.")]
_COMMON: Final = tuple(
    inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, annotation=annotation, default=default)
    for name, annotation, default in (
        ("context", typer.Context, inspect.Parameter.empty),
        ("for_s", _For, 30.0),
        ("dry_run", _DryRun, False),
        ("detach", _Detach, False),
        ("as_json", Json, False),
        ("root", Root, Path()),
    )
)


def _act(  # noqa: PLR0913  (one for each option)
    fault: Fault, *, context: typer.Context, for_s: float, dry_run: bool, detach: bool, as_json: bool, root: Path
) -> None:
    config, on = configuration.load(root.resolve()), context.obj
    if dry_run:
        _print_sent(rehearse(fault, config, on, for_s), as_json=as_json)
        return
    with attached(config) as lab:
        bites = _detach(fault, lab, on, for_s) if detach else _hold(fault, lab, on, for_s, quiet=as_json)
    if as_json:
        seen = [{"on": b.on, "expected": b.expected, "measured": b.measured, "bit": b.held} for b in bites]
        typer.echo(json.dumps({"fault": repr(fault), "on": on, "for_s": for_s, "healed": not detach, "bites": seen}))
    raise typer.Exit(0 if all(bite.held for bite in bites) else 3)


def _hold(fault: Fault, lab: Lab, on: str, for_s: float, *, quiet: bool) -> tuple[Bite, ...]:
    """Inject, wait, heal, and prove it; Ctrl-C only ends the waiting."""
    console = Console(stderr=True, highlight=False, quiet=quiet)
    effect = inject(fault, lab, on, at_most_s=for_s + OVERDUE_S)
    try:
        began_ns = now_ns()
        bites = effect.bite()
        _tell(console, bites)
        with _progress(console, f"{fault} on {on}", for_s), _until_interrupted(console):
            lab.keeper.sleep_until(began_ns + int(for_s * NS_PER_S))
    finally:
        with Doing(console, quiet=quiet) as doing:
            doing.say("healing")
            effect.heal()
    for edge in lab.touched(effect.on):
        lab.prove_healed(edge)
    bites += effect.bite_later()
    console.print("[green]healed[/], and every edge answers again")
    return bites


def _detach(fault: Fault, lab: Lab, on: str, for_s: float) -> tuple[Bite, ...]:
    effect = inject(fault, lab, on, at_most_s=for_s)
    try:
        bites = effect.bite()
        _tell(Console(stderr=True, highlight=False), bites)
        lab.keeper.hand_over()
    except BaseException:
        effect.heal()
        raise
    return bites


def _tell(console: Console, bites: tuple[Bite, ...]) -> None:
    for bite in bites:
        console.print(f"{'[green]✓ bit[/]' if bite.held else '[bold red]✗ did not bite[/]'} {bite}", soft_wrap=True)


@contextmanager
def _until_interrupted(console: Console) -> Iterator[None]:
    try:
        yield
    except KeyboardInterrupt:
        console.print("· interrupted: healing")


@contextmanager
def _progress(console: Console, what: str, for_s: float) -> Iterator[None]:
    """A bar on a terminal, one line anywhere else."""
    if not console.is_terminal:
        console.print(f"· {what} for {for_s:g} s")
        yield
        return
    columns = (TextColumn("{task.description}", markup=False), _Passing(), TextColumn("{task.fields[left]}"))
    with Progress(*columns, console=console, transient=True) as progress:
        progress.add_task(what, total=for_s, left="Ctrl-C heals now")
        yield


class _Passing(BarColumn):
    """A bar that moves with the time."""

    def render(self, task: Task) -> ProgressBar:
        """As far as the time has come."""
        task.completed = task.elapsed or 0.0
        return super().render(task)


def _print_sent(sent: list[Sent], *, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps([one.as_json() for one in sent]))
        return
    for one in sent:
        typer.echo(f"{one.step}: {one.method} {one.url}{'' if one.body is None else ' ' + json.dumps(one.body)}")
