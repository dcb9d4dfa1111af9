"""What a process that is not the runner can reach of a runner's lab."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache, partial
from typing import Final

from chaos.clock import wait_for
from chaos.config import Address, Protocol
from chaos.errors import LabError, UnknownNameError
from chaos.guard.lines import Lab, Member
from chaos.guard.reach import Reach, not_ours
from chaos.guard.sql import execute
from chaos.processes.handle import Handle
from chaos.processes.supervisor import Look
from chaos.proxies import Toxiproxy

TOXIPROXY: Final = "toxiproxy"
READY_WITHIN_S: Final = 5.0

CALL_WITHIN_S: Final = 1.0
"""How long one call to Toxiproxy may take while healing."""


class Outsider:
    """Takes faults on the processes of a lab back, through the handles that its log names."""

    def __init__(self, members: Mapping[str, Member]) -> None:
        self._members = members

    def look(self, name: str) -> Look:
        """How it is now."""
        return self._handle(name).look()

    def pause(self, name: str) -> None:
        """Stop it with its family."""
        self._handle(name).pause()

    def resume(self, name: str) -> None:
        """Let it go on."""
        self._handle(name).resume()

    def start(self, name: str) -> None:
        """Start it unless it runs; whether it does its work is seen at its doors."""
        self._handle(name).start()

    def _handle(self, name: str) -> Handle:
        if name not in self._members:
            raise UnknownNameError("process", name, self._members)
        return self._members[name].handle


def reach(lab: Lab, login: Mapping[str, str] | None) -> Reach:
    """What undos can use to heal in *lab*.

    Args:
        login: dbname, user and password of its Postgres; None when it has none.
    """
    return Reach(
        toxiproxy=cache(lambda url: Toxiproxy(url, within_s=CALL_WITHIN_S)),
        places={place.name: place for place in lab.edges},
        is_gone=partial(_is_gone, lab),
        restart=partial(restart_toxiproxy, lab),
        processes=Outsider(lab.processes),
        doors={name: _doors(member) for name, member in lab.processes.items()},
        execute=partial(run_sql, lab, login),
    )


def restart_toxiproxy(lab: Lab, url: str) -> None:
    """Kill the Toxiproxy of *lab* and start it again as it was, with every edge and no toxic; raises LabError."""
    if TOXIPROXY not in lab.processes:
        not_ours(url)
    handle = lab.processes[TOXIPROXY].handle
    handle.kill()
    handle.start()
    server = Toxiproxy(url, within_s=CALL_WITHIN_S)
    wait_for(server.running, what=f"the Toxiproxy at {url} answers after its restart", within_s=READY_WITHIN_S)
    server.close()


def run_sql(lab: Lab, login: Mapping[str, str] | None, statement: str) -> None:
    """Run *statement* in the Postgres of *lab*, past every proxy; raises LabError, soon."""
    if lab.postgres is None or login is None:
        msg = "nobody has said how to log in to this lab's Postgres"
        raise LabError(msg)
    execute(Address.parse(lab.postgres), login, statement)


def _doors(member: Member) -> dict[Address, Protocol]:
    return {Address.parse(text): protocol for text, protocol in member.doors.items()}


def _is_gone(lab: Lab) -> bool:
    """Whether all that ran the processes of the lab has ended, and they with it."""
    return bool(lab.processes) and all(member.handle.is_gone() for member in lab.processes.values())
