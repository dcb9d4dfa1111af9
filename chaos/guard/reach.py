"""What an undo can reach: edges by their addresses, processes by their names."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from pydantic import BaseModel, ConfigDict

from chaos.config import Address, Config, Protocol, ProxySpec
from chaos.errors import LabError
from chaos.processes.control import Revivable
from chaos.processes.supervisor import Look
from chaos.proxies import Toxiproxy


class Place(BaseModel):
    """An edge as its lab has it: where the caller dials, and where the dependency listens."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    listen: str
    upstream: str
    protocol: Protocol


def places_of(config: Config, proxies: Mapping[str, ProxySpec]) -> dict[str, Place]:
    """The edges by name, with the addresses that they have in *proxies*."""
    return {
        name: Place(name=name, listen=spec.listen, upstream=spec.upstream, protocol=config.protocol(name))
        for name, spec in proxies.items()
    }


def not_ours(url: str) -> None:
    """Raise LabError, because the Toxiproxy at *url* is somebody else's."""
    msg = f"the Toxiproxy at {url} was not started by the lab, so the lab does not restart it"
    raise LabError(msg)


class Nobody:
    """The processes of a lab that has none."""

    def look(self, name: str) -> Look:
        """Raise LabError, as the others do."""
        msg = f"this lab runs no process {name!r}"
        raise LabError(msg)

    def pause(self, name: str) -> None:
        """See ``look``."""
        self.look(name)

    def resume(self, name: str) -> None:
        """See ``look``."""
        self.look(name)

    def start(self, name: str) -> None:
        """See ``look``."""
        self.look(name)


@dataclass(frozen=True, kw_only=True, slots=True)
class Reach:
    """What an undo can reach from the process that performs it.

    Attributes:
        toxiproxy: the server at a URL.
        places: the edges of the lab by name.
        is_gone: whether all processes of the lab have ended with their fork server.
        restart: ends the Toxiproxy at a URL and starts it again, without any toxic; raises LabError.
        processes: takes faults on the processes of the lab back.
        doors: where each of these listens, past every proxy, and what is spoken there.
        execute: runs one SQL statement in the lab's Postgres, past every proxy.
    """

    toxiproxy: Callable[[str], Toxiproxy]
    places: Mapping[str, Place] = field(default_factory=dict)
    is_gone: Callable[[], bool] = field(default=lambda: False)
    restart: Callable[[str], None] = field(default=not_ours)
    processes: Revivable = field(default_factory=Nobody)
    doors: Mapping[str, Mapping[Address, Protocol]] = field(default_factory=dict)
    execute: Callable[[str], None] = field(default=lambda _: None)
