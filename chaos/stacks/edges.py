"""The proxies of one stack: on a Toxiproxy of its own, or on the one that ``TOXIPROXY_URL`` names."""

from __future__ import annotations

import json
import os
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from chaos.clock import wait_for
from chaos.config import LOOPBACK, Address, ProxySpec
from chaos.errors import StackError, UsageError
from chaos.probes import Answer, probe
from chaos.processes.supervisor import Process, Supervisor
from chaos.proxies import Toxiproxy

ANSWERS_WITHIN_S: Final = 20.0
VARIABLE: Final = "TOXIPROXY_URL"


def given_url(allow_hosts: Collection[str]) -> str | None:
    """The Toxiproxy that is to be used instead of one of our own, or None.

    Raises:
        UsageError: it is no address, or neither on loopback nor on a host that the lab may touch.
    """
    url = os.environ.get(VARIABLE)
    if not url:
        return None
    host, address = _address(url)
    if host not in {LOOPBACK, "localhost", "::1", *allow_hosts}:
        msg = f"{VARIABLE}={url!r} is not on loopback; list {host!r} in allow-hosts if the lab may touch it"
        raise UsageError(msg)
    return address


def _address(url: str) -> tuple[str, str]:
    """The host of a Toxiproxy's *url*, and the URL without a slash at its end."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        host = port = None
    if not host or not port or url.removesuffix("/") != f"http://{parts.netloc}" or "@" in parts.netloc:
        msg = f"{VARIABLE}={url!r} is not the address of a Toxiproxy, such as 'http://{LOOPBACK}:8474'"
        raise UsageError(msg)
    return host, f"http://{parts.netloc}"


def spawn(program: Path, port: int, proxies: Mapping[str, ProxySpec], supervisor: Supervisor, folder: Path) -> Process:
    """Start a Toxiproxy with *proxies*; ``wait_ready`` tells when it holds them."""
    configuration = folder / "toxiproxy.json"
    configuration.write_text(json.dumps([spec.model_dump() for spec in proxies.values()]), encoding="utf-8")
    return supervisor.spawn(
        "toxiproxy",
        argv=[str(program), "-host", LOOPBACK, "-port", str(port), "-config", str(configuration)],
        env={"PATH": os.defpath, "LOG_LEVEL": "error"},
        cwd=folder,
        log=folder / "toxiproxy.log",
    )


def wait_ready(server: Toxiproxy, proxies: Mapping[str, ProxySpec], process: Process) -> None:
    """Wait until *server* holds every edge: it starts empty when it dislikes its configuration.

    Raises:
        StackError: it ended, or holds something else.
    """

    def answers() -> bool:
        if (status := process.status()) is not None:
            msg = f"toxiproxy ended with {status}: {process.last_words()}"
            raise StackError(msg)
        return server.running()

    wait_for(answers, what="Toxiproxy answers", within_s=ANSWERS_WITHIN_S)
    held = {(name, p.listen, p.upstream) for name, p in server.proxies().items()}
    wanted = {(name, p.listen, p.upstream) for name, p in proxies.items()}
    if held != wanted:
        msg = f"toxiproxy did not take these edges: {sorted(wanted - held)}: {process.last_words()}"
        raise StackError(msg)


def join(server: Toxiproxy, proxies: Mapping[str, ProxySpec]) -> None:
    """Create *proxies* on a server that runs already; what a dead lab left there is replaced.

    Raises:
        UsageError: another lab that is alive has edges of the same names there.
    """
    for name, held in server.proxies().items():
        if name not in proxies:
            continue
        if probe(Address.parse(held.upstream), "tcp").answer is not Answer.REFUSED:
            url = server.transport.url
            msg = f"{VARIABLE}={url} already holds {name!r} of a running lab; use --workers 1, or unset it"
            raise UsageError(msg)
        held.destroy()
    server.populate([spec.model_dump() for spec in proxies.values()])


def leave(server: Toxiproxy, proxies: Mapping[str, ProxySpec]) -> None:
    """Take *proxies* off a server that is not ours."""
    for name, held in server.proxies().items():
        if name in proxies:
            held.destroy()
