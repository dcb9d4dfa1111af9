"""The running whole: edges, services, stores. What faults act on and workloads talk to."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final, Protocol

from chaos.clock import wait_for
from chaos.config import LOOPBACK, Address, Config, ProxySpec
from chaos.config import Protocol as Spoken
from chaos.errors import LabError, UnknownNameError
from chaos.probes import Answer, Probe, probe
from chaos.proxies import Proxy, Toxiproxy

if TYPE_CHECKING:
    import redis

    from chaos.processes.supervisor import Process, Supervisor

CLEAN_WITHIN_S: Final = 5.0


class Stack(Protocol):
    """What a lab needs to know of however its processes are run."""

    @property
    def ports(self) -> Mapping[str, int]:
        """The port of everything, by the names of ``Config.ports``."""

    @property
    def toxiproxy_url(self) -> str:
        """The API of its Toxiproxy."""

    @property
    def processes(self) -> Mapping[str, Process]:
        """What runs, by name."""

    @property
    def proxies(self) -> Mapping[str, ProxySpec]:
        """The edges by name, on this stack's addresses."""

    def close(self) -> None:
        """End everything that the stack started."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Edge:
    """One caller-to-dependency connection, with exactly one proxy on it.

    Attributes:
        name: ``caller.dependency``.
        listen: where the caller dials: the proxy.
        upstream: where the dependency itself listens.
        protocol: what is spoken, for probes.
    """

    name: str
    listen: Address
    upstream: Address
    protocol: Spoken
    server: Toxiproxy

    @property
    def proxy(self) -> Proxy:
        """The proxy as Toxiproxy holds it now; raises LabError when it is gone."""
        if (found := self.server.get_proxy(self.name)) is None:
            msg = f"Toxiproxy holds no proxy {self.name!r} any more"
            raise LabError(msg)
        return found

    def probe(self) -> Probe:
        """Ask the dependency one question through the proxy."""
        return probe(self.listen, self.protocol)

    def probe_directly(self) -> Probe:
        """Ask the dependency one question past the proxy."""
        return probe(self.upstream, self.protocol)


class Lab:
    """A running platform with a proxy on every edge."""

    def __init__(self, config: Config, stack: Stack) -> None:
        self.config = config
        self.stack = stack
        self.toxiproxy = Toxiproxy(stack.toxiproxy_url)
        self._edges = {
            name: Edge(
                name=name,
                listen=Address.parse(spec.listen),
                upstream=Address.parse(spec.upstream),
                protocol=config.protocol(name),
                server=self.toxiproxy,
            )
            for name, spec in stack.proxies.items()
        }

    def edges(self, glob: str = "*") -> tuple[Edge, ...]:
        """The edges whose names match *glob*, such as ``*.postgres``; raises UnknownNameError for none."""
        return tuple(self._edges[name] for name in self.config.select(glob))

    def edge(self, name: str) -> Edge:
        """The edge of exactly that name; raises UnknownNameError."""
        if name not in self._edges:
            raise UnknownNameError("edge", name, self._edges)
        return self._edges[name]

    def address(self, service: str, port: str | None = None) -> Address:
        """Where *service* listens: its port of that name, default its first."""
        services = self.config.settings.services
        if service not in services:
            raise UnknownNameError("service", service, services)
        return Address(LOOPBACK, self.stack.ports[f"{service} {port or next(iter(services[service].ports))}"])

    @cached_property
    def url(self) -> str:
        """The front door of the platform: the address of its entry service."""
        settings = self.config.settings
        return f"http://{self.address(settings.entry or next(iter(settings.services)))}"

    def postgres(self) -> Any:  # noqa: ANN401  (psycopg2 has no usable type)
        """A direct connection to Postgres, past every proxy, in autocommit mode."""
        from chaos.stacks import postgres  # noqa: PLC0415  (its driver loads only where it is used)

        if self.config.settings.postgres is None:
            msg = "this platform has no Postgres ([tool.chaos-lab.postgres] is missing)"
            raise LabError(msg)
        return postgres.connect(self.config.settings.postgres, self.stack.ports["postgres"])

    def redis(self) -> redis.Redis:
        """A direct client of Redis, past every proxy."""
        from chaos.stacks import valkey  # noqa: PLC0415  (its driver loads only where it is used)

        if self.config.settings.redis is None:
            msg = "this platform has no Redis ([tool.chaos-lab.redis] is missing)"
            raise LabError(msg)
        return valkey.connect(self.config.settings.redis, self.stack.ports["redis"])

    def restore(self) -> None:
        """Heal every edge and prove on the wire that each dependency answers through its proxy."""
        for edge in self._edges.values():
            edge.proxy.heal()
        for edge in self._edges.values():
            self.prove_healed(edge)

    @staticmethod
    def prove_healed(edge: Edge) -> None:
        """Return when the dependency of *edge* answers through the proxy; raises LabError."""
        wait_for(
            lambda: edge.probe().answer is Answer.ANSWERED, what=f"{edge.name} answers again", within_s=CLEAN_WITHIN_S
        )

    def close(self) -> None:
        """End the platform."""
        self.toxiproxy.close()
        self.stack.close()


@contextmanager
def embedded(
    config: Config,
    supervisor: Supervisor,
    *,
    fixed_ports: bool = False,
    say: Callable[[str], None] = lambda _: None,
) -> Iterator[Lab]:
    """A fresh platform from child processes; it ends with the block, or with this process.

    The variable that switches safeguards off (``mutation-env``) is handed on to the services.
    """
    from chaos.stacks import embedded as stacks  # noqa: PLC0415  (loads drivers)

    name = config.settings.mutation_env
    environment = {name: os.environ[name]} if os.environ.get(name) else {}
    stack = stacks.start(config, supervisor, fixed_ports=fixed_ports, environment=environment, say=say)
    lab = Lab(config, stack)
    try:
        yield lab
    finally:
        lab.close()
