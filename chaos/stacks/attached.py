"""A platform that runs already: nothing is started or ended, and faults go through its Toxiproxy.

Processes can be hit only when ``chaos-lab up`` of the same project has started them.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import NoReturn

from chaos.config import LOOPBACK, Config, ProxySpec
from chaos.errors import StackError, UsageError
from chaos.guard.lines import Lab
from chaos.guard.outside import TOXIPROXY
from chaos.processes.control import Processes
from chaos.processes.supervisor import Process, Supervisor
from chaos.stacks import edges, up
from chaos.stacks.control import Control


class _Foreign(Control):
    """Processes that belong to whoever started the platform."""

    def names(self) -> NoReturn:
        """Raise UsageError."""
        msg = (
            "the processes of this platform belong to whoever started it; faults on processes need one that "
            "'chaos-lab up' of this project runs, or an experiment ('chaos-lab run'), faults on edges do not"
        )
        raise UsageError(msg)


def foreign() -> Control:
    """A control of processes that refuses every one."""
    return _Foreign({}, lambda _: None)


@dataclass(frozen=True, kw_only=True, slots=True)
class Attached:
    """A stack on its configured addresses.

    Attributes:
        config: what it consists of.
        toxiproxy_url: the API of its Toxiproxy.
        control: what process faults do to its processes, if they may.
        supervisor: the connection to the fork server that runs them, if there is one.
    """

    config: Config
    toxiproxy_url: str
    control: Processes = field(default_factory=foreign)
    supervisor: Supervisor | None = None

    @property
    def ports(self) -> Mapping[str, int]:
        """The configured ones."""
        return self.config.ports()

    @property
    def processes(self) -> Mapping[str, Process]:
        """None of ours."""
        return {}

    @property
    def proxies(self) -> Mapping[str, ProxySpec]:
        """The edges as configured."""
        return self.config.proxies

    def close(self) -> None:
        """Leave it as it is."""
        if self.supervisor:
            self.supervisor.close()


def attach(config: Config) -> Attached:
    """The platform that ``TOXIPROXY_URL`` names, or the one on the default ports.

    Raises:
        UsageError: that Toxiproxy is on a host that the lab may not touch, or what ``chaos-lab up`` says of
            itself is damaged.
        StackError: ``chaos-lab up`` runs, and its fork server does not answer.
    """
    url = toxiproxy_url(config)
    lab = up.find(config, url)
    if lab is None or not lab.processes:
        return Attached(config=config, toxiproxy_url=url)
    supervisor = _supervisor(lab)
    return Attached(config=config, toxiproxy_url=url, control=_control(lab, supervisor), supervisor=supervisor)


def toxiproxy_url(config: Config) -> str:
    """The API of the Toxiproxy that ``TOXIPROXY_URL`` names, or of the one on its default port; raises UsageError."""
    return edges.given_url(config.settings.allow_hosts) or f"http://{LOOPBACK}:{config.settings.toxiproxy_port}"


def _supervisor(lab: Lab) -> Supervisor:
    """The one fork server of all processes of *lab*."""
    path = next(iter(lab.processes.values())).handle.supervisor
    try:
        return Supervisor(Path(path))
    except OSError as error:
        msg = f"the fork server of 'chaos-lab up' (pid {lab.runner.pid}) does not answer at {path!r}: {error}"
        raise StackError(msg) from error


def _control(lab: Lab, supervisor: Supervisor) -> Control:
    """Processes by their numbers; that one does its work again is seen at its doors, when its heal is proved."""
    everything = {
        name: Process(
            supervisor=supervisor,
            number=member.handle.number,
            name=name,
            log=Path(os.devnull),  # its log is with whoever started it
            stop_signal=signal.SIGTERM,
        )
        for name, member in lab.processes.items()
    }
    hittable = {name: process for name, process in everything.items() if name != TOXIPROXY}
    own = {name: process for name, process in everything.items() if name == TOXIPROXY}
    return Control(hittable, lambda _: None, own)
