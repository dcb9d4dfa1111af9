"""The embedded stack: every server a child process on loopback, no Docker and no root needed.

Postgres, Valkey and Toxiproxy start while the fork server still imports the services; the services
are then forked from it. ``docs/traps.md`` tells what each outside part really does.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Final

import requests

from chaos.clock import wait_for
from chaos.config import LOOPBACK, Address, Config, ProxySpec, ServiceSpec
from chaos.errors import ConfigError, LabError, StackError, UsageError
from chaos.processes.supervisor import Process, Supervisor
from chaos.proxies import Toxiproxy
from chaos.stacks import cache, edges, postgres, template, toxiproxy, valkey
from chaos.stacks.control import Control
from chaos.stacks.ports import PortBlock, claim, require_free

HEALTHY_WITHIN_S: Final = 20.0
USAGE_STATUS: Final = 2

# What a service needs from the surroundings; everything else it is told explicitly.
_INHERITED: Final = ("PATH", "HOME", "LANG", "TZ", "SSL_CERT_FILE")

Say = Callable[[str], None]


@dataclass(kw_only=True)
class Embedded:
    """One running stack.

    Attributes:
        config: as loaded.
        ports: the port of everything, by the names of ``Config.ports``.
        folder: its data and logs; gone after ``close``.
        processes: what runs, by name ("postgres", "redis", "toxiproxy" and each service).
        proxies: the edges on this stack's ports.
        joined: the Toxiproxy of somebody else that is used, None for one of our own.
    """

    config: Config
    ports: Mapping[str, int]
    folder: Path
    supervisor: Supervisor
    environment: Mapping[str, str] = field(default_factory=dict)
    block: PortBlock | None = None
    joined: str | None = None
    processes: dict[str, Process] = field(default_factory=dict)

    @property
    def proxies(self) -> dict[str, ProxySpec]:
        """The edges by name, with the addresses that they have on this stack."""
        defaults = {port: self.ports[what] for what, port in self.config.ports().items()}

        def moved(text: str) -> str:
            address = Address.parse(text)
            return str(Address(address.host, defaults.get(address.port, address.port)))

        return {
            name: spec.model_copy(update={"listen": moved(spec.listen), "upstream": moved(spec.upstream)})
            for name, spec in self.config.proxies.items()
        }

    @property
    def toxiproxy_url(self) -> str:
        """The API of the Toxiproxy in use."""
        return self.joined or f"http://{LOOPBACK}:{self.ports['toxiproxy']}"

    def close(self) -> None:
        """End every process of this stack, leave a Toxiproxy that is not ours, give the ports back."""
        if self.joined:
            with suppress(LabError):
                edges.leave(Toxiproxy(self.joined), self.proxies)
        for process in reversed(self.processes.values()):
            process.stop()
        self.processes.clear()
        if self.block:
            self.block.release()

    @cached_property
    def control(self) -> Control:
        """What process faults do to them."""
        hittable = {name: process for name, process in self.processes.items() if name != "toxiproxy"}
        own = {name: process for name, process in self.processes.items() if name not in hittable}
        return Control(hittable, self.wait_ready, own)

    def wait_ready(self, name: str) -> None:
        """Return when the process of that *name* does its work; raises StackError."""
        settings = self.config.settings
        if name == "postgres" and settings.postgres:
            postgres.wait_ready(settings.postgres, self.ports[name], self.processes[name])
        elif name == "redis" and settings.redis:
            valkey.wait_ready(settings.redis, self.ports[name], self.processes[name])
        else:
            wait_healthy(self, name)

    def spawn(self, service: str) -> Process:
        """Fork *service*; it must not be running."""
        spec = self.config.settings.services[service]
        process = self.supervisor.spawn(
            service, target=spec.run, env=self._environment(service, spec), cwd=self.config.root, log=self.log(service)
        )
        self.processes[service] = process
        return process

    def log(self, name: str) -> Path:
        """The file that *name* prints to."""
        return self.folder / f"{name}.log"

    def _environment(self, service: str, spec: ServiceSpec) -> dict[str, str]:
        inherited = {name: os.environ[name] for name in _INHERITED if name in os.environ}
        names = self._names()
        templates = {**self.config.settings.env, **spec.env}
        try:
            filled = {key: value.format_map(names) for key, value in templates.items()}
        except (KeyError, AttributeError, IndexError, ValueError) as error:
            problem = f"services → {service} → env names {error} which is none of the stack's addresses"
            raise ConfigError("[tool.chaos-lab]", [problem]) from error
        return inherited | filled | dict(self.environment)

    def _names(self) -> dict[str, Any]:
        settings = self.config.settings
        services = {
            name: SimpleNamespace(host=LOOPBACK, ports={kind: self.ports[f"{name} {kind}"] for kind in spec.ports})
            for name, spec in settings.services.items()
        }
        names: dict[str, Any] = {
            "host": LOOPBACK,
            "service": services,
            "edge": {name: Address.parse(spec.listen) for name, spec in self.proxies.items()},
        }
        for store, spec in (("postgres", settings.postgres), ("redis", settings.redis)):
            if spec:
                names[store] = SimpleNamespace(**spec.model_dump() | {"host": LOOPBACK, "port": self.ports[store]})
        return names


def preload(config: Config, supervisor: Supervisor) -> None:
    """Import the services of *config*, of which each start is a fork; takes a second the first time."""
    supervisor.preload([spec.run.partition(":")[0] for spec in config.settings.services.values()])


def start(
    config: Config, supervisor: Supervisor, *, fixed_ports: bool, environment: Mapping[str, str], say: Say
) -> Embedded:
    """Start a fresh stack and return when every service is healthy.

    Args:
        config: what to start.
        supervisor: forks and ends the processes.
        fixed_ports: on the configured ports, else on a free block of its own.
        environment: added to every service's environment, such as the mutation.
        say: told in one line each what takes long.

    Raises:
        PortTakenError: *fixed_ports*, and something else listens there.
        MissingToolError: Toxiproxy, Postgres or Valkey is not to be had.
        StackError: something did not start; carries its last words.
    """
    block = None
    if fixed_ports:
        numbers = config.ports()
        require_free(numbers)
    else:
        block = claim(cache.folder() / "ports", len(config.ports()))
        numbers = block.assign(config.ports())
    folder = Path(tempfile.mkdtemp(prefix="lab-", dir=supervisor.folder))
    stack = Embedded(
        config=config,
        ports=numbers,
        folder=folder,
        supervisor=supervisor,
        environment=environment,
        block=block,
        joined=edges.given_url(config.settings.allow_hosts),
    )
    try:
        _start_stores(stack, say)
        preload(config, supervisor)
        _wait_stores(stack)
        for service in config.settings.services:
            stack.spawn(service)
        for service in config.settings.services:
            wait_healthy(stack, service)
    except BaseException:
        stack.close()
        raise
    return stack


def wait_healthy(stack: Embedded, service: str) -> None:
    """Return when *service* answers its health check with 200.

    Raises:
        StackError: it ended, or was still unwell after HEALTHY_WITHIN_S; carries what was last seen.
    """
    spec = stack.config.settings.services[service]
    url = f"http://{LOOPBACK}:{stack.ports[f'{service} {next(iter(spec.ports))}']}{spec.health}"
    process = stack.processes[service]
    last = "nothing"
    with requests.Session() as session:
        session.trust_env = False

        def healthy() -> bool:
            nonlocal last
            if (status := process.status()) is not None:
                raise _ended(service, status, process.last_words())
            try:
                response = session.get(url, timeout=1)
            except requests.RequestException as error:
                last = type(error).__name__
                return False
            last = f"{response.status_code} {response.text[:200]}"
            return response.ok

        try:
            wait_for(healthy, what=f"{service} is healthy", within_s=HEALTHY_WITHIN_S, every_s=0.01)
        except (StackError, UsageError):
            raise
        except LabError as error:
            msg = f"{error}; {url} last said: {last}\n{process.last_words()}"
            raise StackError(msg) from error


def _ended(service: str, status: int, last_words: str) -> LabError:
    """What to tell of a service that ended at once; status 2 is a program's word for wrong usage."""
    if status == USAGE_STATUS:
        return UsageError(f"{service} refuses what it was told by its environment:\n{last_words}")
    return StackError(f"{service} ended with {status}:\n{last_words}")


def _start_stores(stack: Embedded, say: Say) -> None:
    settings, supervisor, folder = stack.config.settings, stack.supervisor, stack.folder
    if not stack.joined:
        stack.processes["toxiproxy"] = edges.spawn(
            toxiproxy.provide(say), stack.ports["toxiproxy"], stack.proxies, supervisor, folder
        )
    if settings.postgres:
        cache.copied(template.provide(stack.config, supervisor, say), folder / "postgres")
        stack.processes["postgres"] = postgres.start(
            folder / "postgres", stack.ports["postgres"], supervisor, stack.log("postgres")
        )
    if settings.redis:
        stack.processes["redis"] = valkey.start(
            settings.redis, folder / "redis", stack.ports["redis"], supervisor, stack.log("redis")
        )


def _wait_stores(stack: Embedded) -> None:
    settings = stack.config.settings
    server = Toxiproxy(stack.toxiproxy_url)
    if stack.joined:
        edges.join(server, stack.proxies)
    else:
        edges.wait_ready(server, stack.proxies, stack.processes["toxiproxy"])
    server.close()
    for name, configured in (("postgres", settings.postgres), ("redis", settings.redis)):
        if configured:
            stack.wait_ready(name)
