"""``chaos-lab up``, ``chaos-lab status`` and ``chaos-lab doctor``."""

from __future__ import annotations

import json
import time
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer
from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from chaos import config as configuration
from chaos import health
from chaos.cli.options import Json, Root
from chaos.config import LOOPBACK, Address, Config

if TYPE_CHECKING:
    from chaos.lab import Lab

REFRESH_S = 1.0


def register(app: typer.Typer) -> None:
    """Add the commands of this module to *app*."""
    app.command("up")(up)
    app.command("status")(status)
    app.command("doctor")(doctor)


def up(as_json: Json = False, root: Root = Path()) -> None:
    """Run one platform on its default ports, in the foreground, until Ctrl-C.

    With --json the addresses of everything are printed as one object once it is ready.

    Examples:
      chaos-lab up

      curl http://localhost:8080/health
    """
    from chaos.lab import embedded  # noqa: PLC0415  (needed by this command alone)
    from chaos.processes.supervisor import Supervisor  # noqa: PLC0415
    from chaos.stacks.up import announced  # noqa: PLC0415

    config = configuration.load(root.resolve())
    console = Console(stderr=as_json, highlight=False)
    with (
        Supervisor.start(config.root) as supervisor,
        embedded(config, supervisor, fixed_ports=True, say=lambda text: console.print(f"· {text}")) as lab,
        announced(config.root, lab.toxiproxy.url, lab.recorded),
    ):
        console.print(f"[green]ready[/] {lab.url} · Ctrl-C ends it")
        if as_json:
            typer.echo(json.dumps(_addresses(lab)))
        try:
            _watch(config, console)
        finally:
            console.print("· ending every process")


def _addresses(lab: Lab) -> dict[str, Any]:
    """Where everything listens: the front door, Toxiproxy's API, the edges, and each process past every proxy."""
    settings, ports = lab.config.settings, lab.stack.ports
    stores = [name for name, spec in (("postgres", settings.postgres), ("redis", settings.redis)) if spec]
    return {
        "url": lab.url,
        "toxiproxy": lab.toxiproxy.url,
        "edges": {edge.name: {"listen": str(edge.listen), "upstream": str(edge.upstream)} for edge in lab.edges()},
        "services": {
            name: {port: str(lab.address(name, port)) for port in spec.ports}
            for name, spec in settings.services.items()
        },
        "stores": {name: str(Address(LOOPBACK, ports[name])) for name in stores},
    }


def _watch(config: Config, console: Console) -> None:
    """Show how the platform is doing until somebody interrupts."""
    with Live(console=console, auto_refresh=False) as live:
        while True:
            if console.is_terminal:
                live.update(_table(health.look(config)), refresh=True)
            time.sleep(REFRESH_S)


def status(as_json: Json = False, root: Root = Path()) -> None:
    """Tell what runs on the default ports: services, stores, edges and the faults on them.

    Exits with 3 when something is not well.

    Examples:
      chaos-lab status

      watch chaos-lab status
    """
    seen = health.look(configuration.load(root.resolve()))
    if as_json:
        typer.echo(json.dumps([asdict(part) for part in seen]))
    else:
        Console(highlight=False).print(_table(seen))
    raise typer.Exit(0 if all(part.well for part in seen) else 3)


def _table(parts: list[health.Part]) -> Table:
    table = Table("", "Address", "State", box=None, header_style="dim")
    for part in parts:
        table.add_row(part.name, part.address, Text(part.says, style="green" if part.well else "bold red"))
    return table


def doctor(as_json: Json = False, root: Root = Path()) -> None:
    """Tell what the lab needs, what is missing, and how to get it.

    Examples:
      chaos-lab doctor
    """
    needs = health.needs(configuration.load(root.resolve()))
    if as_json:
        typer.echo(json.dumps([asdict(need) for need in needs]))
    else:
        console = Console(highlight=False)
        for need in needs:
            mark: Any = Text("✓", style="green") if need.met else Text("✗", style="bold red")
            console.print(mark, f"{need.name}: {need.says}", soft_wrap=True)
    raise typer.Exit(0 if all(need.met for need in needs) else 2)
