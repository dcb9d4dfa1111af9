"""The running whole: edges, services, stores. What faults act on and workloads talk to."""

from __future__ import annotations

import fnmatch
import os
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any, Final

from chaos.clock import wait_for
from chaos.config import LOOPBACK, Address, Config
from chaos.config import Protocol as Spoken
from chaos.errors import HealError, LabError, UnknownNameError, UsageError
from chaos.guard import log, watch
from chaos.guard.heal import heal_one
from chaos.guard.keeper import Keeper
from chaos.guard.lines import Member
from chaos.guard.outside import restart_toxiproxy, run_sql
from chaos.guard.reach import Place, Reach, places_of
from chaos.guard.record import GuardedRecord
from chaos.guard.undo import Enable, by_hand
from chaos.probes import Answer, Probe, probe
from chaos.proxies import Proxy, Toxiproxy
from chaos.stacks.stack import Stack

if TYPE_CHECKING:
    import redis

    from chaos.processes.supervisor import Supervisor

CLEAN_WITHIN_S: Final = 5.0

# What is spoken on a port, by the name that it has in Config.ports.
_SPOKEN: Final[Mapping[str, Spoken]] = {"http": "http", "iiop": "iiop", "postgres": "postgres", "redis": "redis"}


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

    @property
    def handle(self) -> Proxy:
        """The proxy to change its toxics, without asking how it is."""
        return self.server.handle(self.name)

    def probe(self) -> Probe:
        """Ask the dependency one question through the proxy."""
        return probe(self.listen, self.protocol)

    def probe_directly(self) -> Probe:
        """Ask the dependency one question past the proxy."""
        return probe(self.upstream, self.protocol)


class Lab:
    """A running platform with a proxy on every edge.

    Args:
        disabled: the safeguards that its services run without.
        keeper: keeps the undos; default one with a log on disk and a guard.

    Attributes:
        recorded: what others need to heal here when this process no longer can.
    """

    def __init__(
        self, config: Config, stack: Stack, disabled: str = "", keeper: Callable[[Reach], Keeper] | None = None
    ) -> None:
        self.config = config
        self.disabled = disabled
        self.stack = stack
        self.toxiproxy = Toxiproxy(stack.toxiproxy_url)
        self.processes = stack.control
        places = places_of(config, stack.proxies)
        self.recorded = self._as_recorded(places)
        self._reach = Reach(
            toxiproxy=lambda _: self.toxiproxy,
            places=places,
            restart=partial(restart_toxiproxy, self.recorded),
            processes=self.processes,
            doors={name: self.doors(name) for name in config.processes()},
            execute=partial(run_sql, self.recorded, config.postgres_login()),
        )
        self.keeper = keeper(self._reach) if keeper else _guarded(config, self._reach, self.recorded)
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

    def select_processes(self, glob: str) -> tuple[str, ...]:
        """Names of the processes that match *glob* and may be hit; raises UnknownNameError for none."""
        names = self.processes.names()
        if not (found := tuple(fnmatch.filter(names, glob))):
            raise UnknownNameError("process", glob, names)
        return found

    def doors(self, process: str) -> Mapping[Address, Spoken]:
        """Where *process* itself listens, past every proxy, and what it speaks there."""
        ports = self.stack.ports.items()
        kinds = {what.removeprefix(f"{process} "): port for what, port in ports if f"{what} ".startswith(f"{process} ")}
        return {Address(LOOPBACK, port): _SPOKEN[kind] for kind, port in kinds.items() if kind in _SPOKEN}

    def touched(self, names: Collection[str]) -> tuple[Edge, ...]:
        """The edges of these *names*, and those whose dependency is a process of these names."""
        doors = {door for name in names for door in self.doors(name)}
        return tuple(edge for edge in self._edges.values() if edge.name in names or edge.upstream in doors)

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
        """Heal every edge and prove on the wire that each dependency answers through its proxy.

        Raises:
            HealError: Toxiproxy does not do as it is told; carries the commands that do it by hand.
            LabError: see ``prove_healed``.
        """
        for edge in self._edges.values():
            try:
                if proxy := self.toxiproxy.get_proxy(edge.name):
                    proxy.heal()
                else:
                    heal_one(Enable(toxiproxy=self.toxiproxy.url, proxy=edge.name), (), self._reach)
            except LabError as error:
                raise self._not_healed(error) from error
        for edge in self._edges.values():
            self.prove_healed(edge)

    def prove_healed(self, edge: Edge) -> None:
        """Return when the dependency of *edge* answers through the proxy, and no toxic is left there.

        Raises:
            HealError: it answers past the proxy only, or see ``read_back``; carries the commands that
                mend that by hand.
            LabError: it does not answer at all.
        """
        try:
            wait_for(
                lambda: edge.probe().answer is Answer.ANSWERED,
                what=f"{edge.name} answers again",
                within_s=CLEAN_WITHIN_S,
            )
        except LabError as error:
            if edge.probe_directly().answer is Answer.ANSWERED:
                raise self._not_healed(error) from error
            raise
        self.read_back(edge)

    def read_back(self, edge: Edge) -> None:
        """Raise HealError unless Toxiproxy says that *edge* is open, with no toxic but those that runners owe."""
        proxy = edge.proxy
        owed = log.owed_toxics(self.config, edge.name)
        left = ["down"] * (not proxy.enabled) + [repr(t) for name, t in proxy.toxics().items() if name not in owed]
        if left:
            raise self._not_healed(LabError(f"{edge.name} still has {', '.join(left)}"))

    def _not_healed(self, error: LabError) -> HealError:
        return HealError(f"{error}\n{by_hand(self.keeper.left())}\n  curl -X POST {self.toxiproxy.url}/reset")

    def _as_recorded(self, places: Mapping[str, Place]) -> log.Lab:
        port = self.stack.ports.get("postgres")
        return log.Lab(
            runner=log.Runner.this(),
            edges=tuple(places.values()),
            postgres=f"{LOOPBACK}:{port}" if port else None,
            processes={
                name: Member(handle=handle, doors={str(door): spoken for door, spoken in self.doors(name).items()})
                for name, handle in self.processes.handles().items()
            },
        )

    def require_toxiproxy(self) -> None:
        """Raise UsageError when no Toxiproxy answers, saying how to get one."""
        if not self.toxiproxy.running():
            url = self.toxiproxy.url
            msg = f"no Toxiproxy answers at {url}: start a platform with 'chaos-lab up', or name one in TOXIPROXY_URL"
            raise UsageError(msg)

    def close(self) -> None:
        """End the platform, and with it whatever was injected there."""
        self.toxiproxy.close()
        self.stack.close()
        self.keeper.close(gone=True)


def _guarded(config: Config, reach: Reach, recorded: log.Lab) -> Keeper:
    return Keeper(reach, GuardedRecord(config, recorded, watch.of_this_process(config.root)))


@contextmanager
def attached(config: Config) -> Iterator[Lab]:
    """The platform that runs already, for the length of the block; raises UsageError when none does."""
    from chaos.stacks.attached import attach  # noqa: PLC0415  (few need it)

    lab = Lab(config, attach(config))
    try:
        lab.require_toxiproxy()
        yield lab
    finally:
        lab.keeper.close(gone=False)
        lab.toxiproxy.close()
        lab.stack.close()


@contextmanager
def embedded(
    config: Config,
    supervisor: Supervisor,
    *,
    fixed_ports: bool = False,
    disable: str | None = None,
    say: Callable[[str], None] = lambda _: None,
) -> Iterator[Lab]:
    """A fresh platform from child processes; it ends with the block, or with this process.

    Args:
        fixed_ports: on the configured ports, else on free ones.
        disable: safeguards that the services are to run without, by default what the variable
            ``mutation-env`` says.
        say: told in one line each what takes long.
    """
    from chaos.stacks import embedded as stacks  # noqa: PLC0415  (loads drivers)

    name = config.settings.mutation_env
    disabled = os.environ.get(name, "") if disable is None else disable
    environment = {name: disabled} if disabled else {}
    stack = stacks.start(config, supervisor, fixed_ports=fixed_ports, environment=environment, say=say)
    lab = Lab(config, stack, disabled)
    try:
        yield lab
    finally:
        lab.close()
