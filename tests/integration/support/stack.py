"""The platform under test: one of our own, or one that runs already."""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any, Final, TypeAlias
from urllib.parse import urlsplit

import psycopg2
import psycopg2.extensions
from redis import Redis

from chaos.config import Config, ProxySpec, Settings
from chaos.errors import ConfigError, UsageError
from chaos.lab import Lab, embedded
from chaos.processes.supervisor import Process, Supervisor
from chaos.proxies import Toxiproxy
from chaos.stacks.attached import foreign
from chaos.stacks.control import Control

Connection: TypeAlias = psycopg2.extensions.connection
Cursor: TypeAlias = psycopg2.extensions.cursor

NO_TOXIPROXY: Final = "this fault goes through Toxiproxy, and TOXIPROXY_URL is not set"
NO_PROCESSES: Final = "only the embedded stack can start a process again; unset API_GATEWAY_URL and its siblings"

FOR_TESTS: Final = "_test"
"""How the names of those databases end that the tests may empty."""

URLS: Final = {
    "API_GATEWAY_URL": "http://localhost:8080",
    "WIDGET_CORE_URL": "http://localhost:8081",
    "ORB_CORE_URL": "http://localhost:12000",
    "SECURITY_SERVICE_URL": "http://localhost:8082",
}
"""The variables that attach the suite to a running platform, and their defaults. One is enough."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Platform:
    """Where everything is.

    Attributes:
        gateway, widget_core, orb_core, security: URLs of the services.
        orb_metrics: URL of ORB Core's port for metrics.
        postgres: what ``psycopg2.connect`` takes, past every proxy.
        redis: what ``redis.Redis`` takes, past every proxy.
        lab: for faults; None when the platform is attached and there is no Toxiproxy.
        embedded: its processes are ours.
    """

    gateway: str
    widget_core: str
    orb_core: str
    security: str
    orb_metrics: str
    postgres: Mapping[str, Any]
    redis: Mapping[str, Any]
    lab: Lab | None
    embedded: bool

    def connect(self) -> Connection:
        """A connection to Postgres in autocommit mode."""
        connection: Connection = psycopg2.connect(**self.postgres)
        connection.autocommit = True
        return connection

    def open_redis(self) -> Redis:
        """A client of Redis that answers text."""
        return Redis(**self.redis, decode_responses=True)


@dataclass(frozen=True, kw_only=True, slots=True)
class _Attached:
    """A stack on its default ports that somebody else runs, as far as a lab needs it for faults on edges."""

    toxiproxy_url: str
    ports: Mapping[str, int]
    proxies: Mapping[str, ProxySpec]
    processes: Mapping[str, Process] = field(default_factory=lambda: MappingProxyType({}))
    control: Control = field(default_factory=foreign)

    def close(self) -> None:
        """Leave everything as it is."""


def is_attached(environment: Mapping[str, str] = os.environ) -> bool:
    """Whether a running platform is to be tested, rather than one of our own."""
    return any(environment.get(name) for name in URLS)


@contextmanager
def own(config: Config, supervisor: Supervisor, environment: Mapping[str, str]) -> Iterator[Platform]:
    """A fresh embedded stack whose services get *environment* too; it ends with the block."""
    settings = config.settings.model_copy(update={"env": {**config.settings.env, **environment}})
    with embedded(replace(config, settings=settings), supervisor) as lab:
        store, cache = config.settings.postgres, config.settings.redis
        assert store
        assert cache
        host = lab.address("gateway").host
        yield Platform(
            gateway=lab.url,
            widget_core=f"http://{lab.address('widget-core')}",
            orb_core=f"http://{lab.address('orb-core')}",
            security=f"http://{lab.address('security')}",
            orb_metrics=f"http://{lab.address('orb-core', 'metrics')}",
            postgres=_postgres(host, lab.stack.ports["postgres"], store.database, store.user, store.password),
            redis={"host": host, "port": lab.stack.ports["redis"], "password": cache.password},
            lab=lab,
            embedded=True,
        )


@contextmanager
def attached(config: Config, environment: Mapping[str, str] = os.environ) -> Iterator[Platform]:
    """The platform that the environment names; it runs on afterwards, healed of what the tests broke.

    Raises:
        ConfigError: its stores are not ones that the tests may empty.
    """
    urls = {name: environment.get(name) or default for name, default in URLS.items()}
    store = _postgres(
        environment.get("POSTGRES_HOST", "localhost"),
        int(environment.get("POSTGRES_PORT", "5432")),
        environment.get("POSTGRES_DB", "microservices_test"),
        environment.get("POSTGRES_USER", "test_user"),
        environment.get("POSTGRES_PASSWORD", "test_password"),
    )
    cache = {
        "host": environment.get("REDIS_HOST", "localhost"),
        "port": int(environment.get("REDIS_PORT", "6379")),
        "password": environment.get("REDIS_PASSWORD") or None,
    }
    _refuse_strangers(
        config.settings, {"POSTGRES_HOST": store["host"], "REDIS_HOST": str(cache["host"])}, store["dbname"]
    )
    toxiproxy = environment.get("TOXIPROXY_URL")
    ports = config.ports() | {"postgres": store["port"], "redis": cache["port"]}
    lab = Lab(config, _found(config, toxiproxy, ports)) if toxiproxy else None
    try:
        yield Platform(
            gateway=urls["API_GATEWAY_URL"],
            widget_core=urls["WIDGET_CORE_URL"],
            orb_core=urls["ORB_CORE_URL"],
            security=urls["SECURITY_SERVICE_URL"],
            orb_metrics=environment.get("ORB_METRICS_URL") or _orb_metrics(urls["ORB_CORE_URL"]),
            postgres=store,
            redis=cache,
            lab=lab,
            embedded=False,
        )
    finally:
        if lab:
            lab.close()


def _refuse_strangers(settings: Settings, hosts: Mapping[str, str], database: str) -> None:
    """Raise ConfigError unless these are stores that may be emptied, as the tests do."""
    problems = [
        f"{variable}={host!r} is not on loopback, and the tests delete what is in that store:"
        f" list {host!r} in allow-hosts of [tool.chaos-lab] if they may"
        for variable, host in hosts.items()
        if not settings.may_touch(host)
    ]
    if not database.endswith(FOR_TESTS):
        problems.append(
            f"POSTGRES_DB={database!r} does not end in {FOR_TESTS!r}, and the tests delete every widget and user in it:"
            f" name a database that is there for tests, such as 'microservices{FOR_TESTS}'"
        )
    if problems:
        raise ConfigError("environment", problems)


def _orb_metrics(orb_core: str) -> str:
    """The default of ORB_METRICS_URL: the port for metrics on the host of ORB Core."""
    host = urlsplit(orb_core).hostname or "localhost"
    return f"http://{f'[{host}]' if ':' in host else host}:9091"


def _found(config: Config, url: str, ports: Mapping[str, int]) -> _Attached:
    """The stack behind the Toxiproxy at *url*, whose edges have the addresses that it says."""
    server = Toxiproxy(url)
    held = server.proxies()
    server.close()
    if missing := config.proxies.keys() - held.keys():
        msg = (
            f"TOXIPROXY_URL={url} holds no proxy for {', '.join(sorted(missing))}; it holds {', '.join(held) or 'none'}"
        )
        raise UsageError(msg)
    proxies = {
        name: spec.model_copy(update={"listen": held[name].listen, "upstream": held[name].upstream})
        for name, spec in config.proxies.items()
    }
    return _Attached(toxiproxy_url=url, ports=ports, proxies=proxies)


def _postgres(host: str, port: int, database: str, user: str, password: str) -> dict[str, Any]:
    return {
        "host": host,
        "port": port,
        "dbname": database,
        "user": user,
        "password": password,
        "connect_timeout": 5,
    }


def row(cursor: Cursor) -> tuple[Any, ...]:
    """The next row of what *cursor* has asked; fails when there is none."""
    found = cursor.fetchone()
    assert found, "there is no such row"
    return found


def one(cursor: Cursor) -> Any:
    """The first value of the next row of what *cursor* has asked; fails when there is no row."""
    return row(cursor)[0]
