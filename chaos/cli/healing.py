"""``chaos-lab heal`` and ``chaos-lab halt``: take everything back by hand, or stop everything."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any, Final

import typer
from rich.console import Console

from chaos import config as configuration
from chaos.cli.options import Json, RootAsItIs
from chaos.clock import wait_for
from chaos.config import Address, Config
from chaos.errors import HealError, LabError, UndoLogError
from chaos.guard import halt as halts
from chaos.guard import leftovers, log
from chaos.guard.heal import heal_all
from chaos.guard.outside import reach
from chaos.guard.reach import places_of
from chaos.guard.undo import Enable, RemoveToxic, Undo, by_hand
from chaos.probes import Answer, probe
from chaos.proxies import Toxiproxy
from chaos.stacks.attached import toxiproxy_url

OBEYED_WITHIN_S: Final = 5.0


def register(app: typer.Typer) -> None:
    """Add the commands of this module to *app*."""
    app.command("heal")(heal)
    app.command("halt")(halt)


def heal(
    everything: Annotated[
        bool, typer.Option("--all", help="Reset every configured edge too, whoever has broken it.")
    ] = False,
    as_json: Json = False,
    root: RootAsItIs = Path(),
) -> None:
    """Heal what is left over from runs that are gone, and prove it on the wire.

    Every other command does that first, too. With --all every configured edge of the platform that
    runs is reset, and undo logs that cannot be read are put aside. Exits with 4, and the commands
    that do it by hand, when something cannot be healed.

    Examples:
      chaos-lab heal

      chaos-lab heal --all
    """
    config = configuration.load(root.resolve())
    console = Console(stderr=True, highlight=False)
    say = _saying(console)
    with console.status("healing"):
        if everything:
            reset, aside = reset_edges(config), leftovers.put_aside(config, say)
        else:
            reset, aside = 0, []
        count = leftovers.heal(config, say)
    say(f"healed: {count} left over" + (f", {reset} reset on the edges, {len(aside)} logs put aside" * everything))
    if as_json:
        typer.echo(json.dumps({"healed": count, "reset": reset, "aside": [str(path) for path in aside]}))


def halt(
    lift: Annotated[bool, typer.Option("--lift", help="Allow faults again.")] = False,
    as_json: Json = False,
    root: RootAsItIs = Path(),
) -> None:
    """Stop every experiment and heal every fault now; no new one is allowed until it is lifted.

    It writes the file HALT into the project's folder, which does the same when written by hand.

    Examples:
      chaos-lab halt

      chaos-lab halt --lift
    """
    config = configuration.load(root.resolve())
    file = config.root / halts.NAME
    console = Console(stderr=True, highlight=False)
    if lift:
        file.unlink(missing_ok=True)
        count = 0
        console.print(f"lifted: {file} is not there, faults are allowed")
    else:
        with console.status("healing"):
            count = _all_healed(config, file, _saying(console))
        console.print(f"halted by {file}; 'chaos-lab halt --lift' allows faults again", soft_wrap=True)
    if as_json:
        typer.echo(json.dumps({"halted": not lift, "file": str(file), "healed": count}))


def reset_edges(config: Config) -> int:
    """Take every toxic off every configured edge and let all listen; returns how much that was; raises HealError."""
    url = toxiproxy_url(config)
    if probe(Address.parse(url.partition("//")[2].rstrip("/")), "tcp").answer is Answer.REFUSED:
        return 0
    server = Toxiproxy(url)
    try:
        undos = _undos(config, server)
    except LabError as error:
        msg = f"{error}\nundo it by hand:\n  curl -X POST {url}/reset"
        raise HealError(msg) from error
    finally:
        server.close()
    lab = log.Lab(runner=log.Runner.this(), edges=tuple(places_of(config, config.proxies).values()))
    result = heal_all(dict(enumerate(undos)), reach(lab, None))
    if result.failed:
        why = "; ".join(dict.fromkeys(result.failed.values()))
        msg = f"{why}\n{by_hand(undos[number] for number in result.failed)}"
        raise HealError(msg)
    return len(undos)


def _undos(config: Config, server: Toxiproxy) -> list[Undo]:
    """What takes everything back that is on the configured edges."""
    undos: list[Undo] = []
    for name, proxy in server.proxies().items():
        if name in config.proxies:
            undos += [RemoveToxic(toxiproxy=server.url, proxy=name, toxic=toxic) for toxic in proxy.toxics()]
            undos += [] if proxy.enabled else [Enable(toxiproxy=server.url, proxy=name)]
    return undos


def _all_healed(config: Config, file: Path, say: Any) -> int:  # noqa: ANN401  (a function)
    """Write the HALT *file*, wait until runners have obeyed, do it for the others; returns how much was owed before.

    Raises:
        HealError: something could not be healed, or a log is damaged; all the others are healed.
    """
    may = log.limits(config)
    problems: dict[object, HealError] = {}

    def owed(path: Path) -> int:
        try:
            return len(log.read(path, may).owed)
        except UndoLogError as error:
            problems[path] = error
            return 0

    def obeyed() -> bool:
        living = [path for path in log.paths(config.root) if path not in leftovers.waiting(config.root)]
        return not sum(map(owed, living))

    count = sum(map(owed, log.paths(config.root)))
    file.touch()
    heals = [leftovers.heal]
    try:
        wait_for(obeyed, what="every runner has healed", within_s=OBEYED_WITHIN_S, every_s=0.05)
    except LabError:
        heals.insert(0, leftovers.heal_living)
    for each in heals:
        try:
            each(config, say)
        except HealError as error:
            problems[each] = error
    leftovers.raise_all([*problems.values()])
    return count


def _saying(console: Console) -> Any:  # noqa: ANN401  (a function)
    return lambda text: console.print(f"chaos-lab: {text}", soft_wrap=True, markup=False)
