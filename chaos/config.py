"""What the lab may stand up and touch: ``[tool.chaos-lab]`` of ``pyproject.toml`` and ``toxiproxy.json``.

Values in a service's ``env`` may name addresses of the running stack, filled in when it starts::

    {edge[widget-core.redis].host}   {service[orb-core].ports[iiop]}   {postgres.password}   {host}
"""

from __future__ import annotations

import fnmatch
import ipaddress
import json
import string
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from chaos.errors import ConfigError, UnknownNameError

Port = Annotated[int, Field(ge=1, le=65535)]
Protocol = Literal["http", "postgres", "redis", "iiop", "tcp"]

EDGES_MAX: Final = 200
FILE_BYTES_MAX: Final = 1_000_000
LOOPBACK: Final = "127.0.0.1"
CHECK_WITHIN_S: Final = 60.0
CHECK_MEMORY_MB: Final = 4096

_NAME: Final = r"^[a-z_][a-z0-9_]{0,62}$"
_PRINTABLE: Final = r"^[A-Za-z0-9_.~!-]{1,128}$"


@dataclass(frozen=True, slots=True)
class Address:
    """Where something listens."""

    host: str
    port: int

    @classmethod
    def parse(cls, text: str) -> Address:
        """Read ``127.0.0.1:5432``; raises ValueError with the reason."""
        host, _, port = text.rpartition(":")
        if not host or not port.isdecimal() or not 1 <= int(port) <= 65535:  # noqa: PLR2004  (the last port)
            msg = f"{text!r} is not host:port with an explicit host, such as '127.0.0.1:5432'"
            raise ValueError(msg)
        return cls(host, int(port))

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"


class _Model(BaseModel):
    model_config = ConfigDict(
        extra="forbid", frozen=True, alias_generator=lambda name: name.replace("_", "-"), populate_by_name=True
    )


class ProxySpec(BaseModel):
    """One entry of ``toxiproxy.json``, in Toxiproxy's own format."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9-]*\.[a-z0-9][a-z0-9-]*$")
    listen: str
    upstream: str
    enabled: bool = True


class ServiceSpec(_Model):
    """One service of the platform: a Python function that serves until SIGTERM."""

    run: str = Field(pattern=r"^[\w.]+:\w+$")
    ports: Mapping[str, Port] = Field(min_length=1)
    health: str = "/health"
    metrics: str = "/metrics"
    env: Mapping[str, str] = {}


class PrepareSpec(_Model):
    """What fills a new database, once: a Python function, its environment, the files it depends on."""

    run: str = Field(pattern=r"^[\w.]+:\w+$")
    env: Mapping[str, str] = {}
    inputs: tuple[str, ...] = ()


class PostgresSpec(_Model):
    """The Postgres that the embedded stack starts."""

    port: Port = 5432
    database: str = Field(default="microservices_test", pattern=_NAME)
    user: str = Field(default="test_user", pattern=_NAME)
    password: str = Field(default="test_password", pattern=_PRINTABLE)
    prepare: PrepareSpec | None = None


class RedisSpec(_Model):
    """The Redis-compatible server (Valkey) that the embedded stack starts."""

    port: Port = 6379
    password: str = Field(default="test_password", pattern=_PRINTABLE)


class Settings(_Model):
    """The table ``[tool.chaos-lab]``; ``check-within-s`` and ``check-memory-mb`` are each checker's hard wall."""

    edges: str = "toxiproxy.json"
    scenarios: str = "scenarios"
    results: str = "results"
    toxiproxy_port: Port = 8474
    allow_hosts: tuple[str, ...] = ()
    mutation_env: str = "RESILIENCE_DISABLE"
    check_within_s: float = Field(default=CHECK_WITHIN_S, gt=0)
    check_memory_mb: int = Field(default=CHECK_MEMORY_MB, gt=0)
    entry: str = ""
    protocols: Mapping[str, Protocol] = {}
    env: Mapping[str, str] = {}
    postgres: PostgresSpec | None = None
    redis: RedisSpec | None = None
    services: Mapping[str, ServiceSpec] = {}

    def may_touch(self, host: str | None) -> bool:
        """Whether *host* is on loopback or listed in ``allow-hosts``."""
        if host in {"localhost", *self.allow_hosts}:
            return True
        try:
            return ipaddress.ip_address((host or "").strip("[]")).is_loopback
        except ValueError:
            return False


@dataclass(frozen=True, kw_only=True, slots=True)
class Config:
    """Everything that is configured, checked as a whole.

    Attributes:
        root: the folder of ``pyproject.toml``; relative paths start here.
        settings: the table ``[tool.chaos-lab]``.
        proxies: the edges by name, in the order of the file.
    """

    root: Path
    settings: Settings
    proxies: Mapping[str, ProxySpec]

    def select(self, glob: str) -> tuple[str, ...]:
        """Names of the edges that match *glob*; raises UnknownNameError when none does."""
        names = tuple(fnmatch.filter(self.proxies, glob))
        if not names:
            raise UnknownNameError("edge", glob, self.proxies)
        return names

    def protocol(self, edge: str) -> Protocol:
        """What is spoken on *edge*; the first glob of ``protocols`` that matches decides."""
        spoken = (p for glob, p in self.settings.protocols.items() if fnmatch.fnmatch(edge, glob))
        return next(spoken, "tcp")

    def processes(self) -> tuple[str, ...]:
        """Names of the processes that faults may hit."""
        stores = (("postgres", self.settings.postgres), ("redis", self.settings.redis))
        return (*(name for name, spec in stores if spec), *self.settings.services)

    def postgres_login(self) -> dict[str, str] | None:
        """What libpq needs besides the address; None without a Postgres."""
        spec = self.settings.postgres
        return {"dbname": spec.database, "user": spec.user, "password": spec.password} if spec else None

    def ports(self) -> dict[str, int]:
        """Every port of one stack on its default numbers, by what listens there."""
        settings = self.settings
        ports = {"toxiproxy": settings.toxiproxy_port}
        ports |= {f"edge {p.name}": Address.parse(p.listen).port for p in self.proxies.values()}
        ports |= {f"{s} {kind}": n for s, spec in settings.services.items() for kind, n in spec.ports.items()}
        if settings.postgres:
            ports["postgres"] = settings.postgres.port
        if settings.redis:
            ports["redis"] = settings.redis.port
        return ports


def load(root: Path, scenarios: str | None = None) -> Config:
    """Read and check the configuration of the project in *root*.

    Args:
        scenarios: another folder of experiments than the configured one.

    Raises:
        ConfigError: with every problem found in the settings, or else in the edges.
    """
    source, settings = _settings(root)
    if scenarios:
        settings = settings.model_copy(update={"scenarios": scenarios})
    path = root / settings.edges
    proxies = _proxies(path)
    if problems := [*_edge_problems(proxies, settings)]:
        raise ConfigError(str(path), problems)
    config = Config(root=root, settings=settings, proxies={p.name: p for p in proxies})
    if problems := [*_setting_problems(config)]:
        raise ConfigError(source, problems)
    return config


def _settings(root: Path) -> tuple[str, Settings]:
    path = root / "pyproject.toml"
    source = f"{path} [tool.chaos-lab]"
    try:
        table = tomllib.loads(_text(path))["tool"]["chaos-lab"]
    except (ValueError, RecursionError) as error:
        raise ConfigError(str(path), [f"is not TOML: {error}"]) from error
    except (KeyError, TypeError) as error:
        hint = "the table is missing: run chaos-lab in the project's folder, or name it with --root"
        raise ConfigError(source, [hint]) from error
    try:
        return source, Settings.model_validate(table)
    except ValidationError as error:
        raise ConfigError(source, _readable(error)) from error


def _proxies(path: Path) -> list[ProxySpec]:
    try:
        entries = json.loads(_text(path))
    except (ValueError, RecursionError) as error:
        raise ConfigError(str(path), [f"is not JSON: {error}"]) from error
    if not isinstance(entries, list) or not 0 < len(entries) <= EDGES_MAX:
        raise ConfigError(str(path), [f"holds a {type(entries).__name__}; expected a list of 1 to {EDGES_MAX} edges"])
    try:
        return TypeAdapter(list[ProxySpec]).validate_python(entries)
    except ValidationError as error:
        raise ConfigError(str(path), _readable(error, entries)) from error


def _text(path: Path) -> str:
    try:
        if path.stat().st_size > FILE_BYTES_MAX:
            raise ConfigError(str(path), [f"is larger than {FILE_BYTES_MAX} bytes"])
        return path.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise ConfigError(
            str(path), ["does not exist: run chaos-lab in the project's folder, or name it with --root"]
        ) from error
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(str(path), [f"cannot be read: {error}"]) from error


def _readable(error: ValidationError, entries: list[Any] | None = None) -> list[str]:
    """One sentence for each problem that pydantic found, with the edge's name where there is one."""
    problems = []
    for item in error.errors(include_url=False):
        where = list(item["loc"])
        if entries is not None and where and isinstance(where[0], int):
            entry = entries[where[0]]
            name = entry.get("name") if isinstance(entry, dict) else None
            where[0] = f"entry {where[0] + 1}" + (f" ({name!r})" if name else "")
        problems.append(f"{' → '.join(map(str, where))}: {item['msg']}, not {item['input']!r:.80}")
    return problems


def _edge_problems(proxies: Iterable[ProxySpec], settings: Settings) -> Iterable[str]:
    listeners: dict[str, str] = {}
    names: set[str] = set()
    for proxy in proxies:
        if proxy.name in names:
            yield f"{proxy.name}: named twice"
        names.add(proxy.name)
        for side, text in (("listen", proxy.listen), ("upstream", proxy.upstream)):
            yield from (f"{proxy.name}: {side} {problem}" for problem in _address_problems(text, settings))
        if other := listeners.get(proxy.listen):
            yield f"{proxy.name}: listens on {proxy.listen} like {other}"
        listeners[proxy.listen] = proxy.name


def _address_problems(text: str, settings: Settings) -> Iterable[str]:
    try:
        host = Address.parse(text).host
    except ValueError as error:
        yield str(error)
        return
    if host == "localhost" or not settings.may_touch(host):
        yield f"{text!r} is not on loopback (127.0.0.1); list {host!r} in allow-hosts if the lab may touch it"


def _setting_problems(config: Config) -> Iterable[str]:
    numbers: dict[int, str] = {}
    for what, number in config.ports().items():
        if other := numbers.get(number):
            yield f"port {number} is given to both {other!r} and {what!r}"
        numbers[number] = what
    for glob in config.settings.protocols:
        if not fnmatch.filter(config.proxies, glob):
            yield f"protocols → {glob!r}: matches no edge of {config.settings.edges}"
    if config.settings.entry and config.settings.entry not in config.settings.services:
        yield f"entry: {config.settings.entry!r} is none of the services {sorted(config.settings.services)}"
    for name, spec in config.settings.services.items():
        for key, value in {**config.settings.env, **spec.env}.items():
            yield from (f"services → {name} → env → {key}: {problem}" for problem in _template_problems(value))


def _template_problems(value: str) -> Iterable[str]:
    try:
        list(string.Formatter().parse(value))
    except ValueError as error:
        yield f"{value!r} is no template: {error}"
