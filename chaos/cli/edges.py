"""``chaos-lab edges`` and ``chaos-lab faults``: what there is to break, and what is broken."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from chaos import config as configuration
from chaos.cli.options import Json, Root
from chaos.config import Config
from chaos.errors import LabError, ProxyError
from chaos.guard import log
from chaos.guard.undo import DropCommitGate, Enable, RemoveToxic, Resume, Start, Stop, Undo
from chaos.proxies import Proxy, Toxiproxy
from chaos.stacks.attached import toxiproxy_url

UNKNOWN = "unknown: no Toxiproxy answers"


def register(app: typer.Typer) -> None:
    """Add the commands of this module to *app*."""
    app.command("edges")(edges)
    app.command("faults")(faults)


def complete_targets(incomplete: str) -> list[str]:
    """Names of edges and processes for shell completion; none where the project cannot be read."""
    try:
        config = configuration.load(Path.cwd())
    except LabError:
        return []
    return [name for name in (*config.proxies, *config.processes()) if name.startswith(incomplete)]


def edges(as_json: Json = False, root: Root = Path()) -> None:
    """List the edges of the platform that runs: where they are, what is spoken, which toxics are on them.

    Exits with 3 when no Toxiproxy answers.

    Examples:
      chaos-lab edges

      chaos-lab edges --json | jq -r '.[].name'
    """
    config = configuration.load(root.resolve())
    seen = _edges(config)
    if as_json:
        typer.echo(json.dumps(seen))
    else:
        _print(("Edge", "Listens on", "Leads to", "Speaks", "State"), [_cells(edge) for edge in seen])
    raise typer.Exit(3 if any(edge["state"] == UNKNOWN for edge in seen) else 0)


def _edges(config: Config) -> list[dict[str, Any]]:
    server = Toxiproxy(toxiproxy_url(config))
    try:
        held: dict[str, Proxy] | None = server.proxies()
    except ProxyError:
        held = None
    try:
        return [
            {
                "name": name,
                "listen": spec.listen,
                "upstream": spec.upstream,
                "protocol": config.protocol(name),
                **_state(held, name),
            }
            for name, spec in config.proxies.items()
        ]
    finally:
        server.close()


def _state(held: dict[str, Proxy] | None, name: str) -> dict[str, Any]:
    if held is None:
        return {"state": UNKNOWN, "toxics": []}
    if (proxy := held.get(name)) is None:
        return {"state": "no proxy", "toxics": []}
    return {"state": "open" if proxy.enabled else "down", "toxics": [repr(toxic) for toxic in proxy.toxics().values()]}


def _cells(edge: dict[str, Any]) -> list[str | Text]:
    well = edge["state"] == "open" and not edge["toxics"]
    says = ", ".join(edge["toxics"]) if edge["toxics"] and edge["state"] == "open" else edge["state"]
    state = Text(says, style="green" if well else "bold red")
    return [edge["name"], edge["listen"], edge["upstream"], edge["protocol"], state]


@dataclass(frozen=True, kw_only=True, slots=True)
class Active:
    """A fault that is owed: on what, what it is, since and until when, and by whom."""

    on: str
    what: str
    since: str
    healed_by: str
    by: str
    undo: str


def faults(as_json: Json = False, root: Root = Path()) -> None:
    """List the faults that are active: since when, healed by when at the latest, and by whom.

    Examples:
      chaos-lab faults

      chaos-lab faults --json | jq -r '.[].undo'
    """
    config = configuration.load(root.resolve())
    found = [active for path in log.paths(config.root) for active in _active(config, path)]
    if as_json:
        typer.echo(json.dumps([asdict(active) for active in found]))
        return
    if not found:
        Console(highlight=False).print("no fault is active")
        return
    rows: list[list[str | Text]] = [
        [a.on, a.what, _clock(a.since), _clock(a.healed_by), a.by] for a in sorted(found, key=lambda a: a.since)
    ]
    _print(("On", "What", "Since", "Healed by", "By"), rows)


def _active(config: Config, path: Path) -> list[Active]:
    owner = log.runner(path)
    by = f"{_name(owner.pid)} (pid {owner.pid})" if owner else path.name
    return [
        Active(
            on=entry.undo.on,
            what=_what(entry.undo),
            since=entry.since.isoformat(timespec="seconds"),
            healed_by=(entry.since + timedelta(seconds=entry.at_most_s)).isoformat(timespec="seconds"),
            by=by,
            undo=entry.undo.by_hand(),
        )
        for entry in log.read(path, log.limits(config)).owed.values()
    ]


def _what(undo: Undo) -> str:
    """What is wrong as long as *undo* is owed, in the words of the faults."""
    match undo:
        case RemoveToxic():
            return undo.toxic
        case Stop():
            return undo.fault
        case Enable():
            return "down"
        case Resume():
            return "paused"
        case Start():
            return "killed" if undo.held else "restarted"
        case DropCommitGate():
            return "transactions held inside COMMIT"


def _name(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/comm").read_text(encoding="utf-8").strip()
    except OSError:
        return "a process that is gone"


def _clock(moment: str) -> str:
    """The time of day here, and how long ago or ahead that is."""
    when = datetime.fromisoformat(moment)
    seconds = round((when - datetime.now(UTC)).total_seconds())
    return f"{when.astimezone():%H:%M:%S} ({f'in {seconds} s' if seconds > 0 else f'{-seconds} s ago'})"


def _print(headings: tuple[str, ...], rows: list[list[str | Text]]) -> None:
    table = Table(*headings, box=None, header_style="dim")
    for row in rows:
        table.add_row(*row)
    Console(highlight=False).print(table)
