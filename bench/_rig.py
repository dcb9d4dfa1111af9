"""A Toxiproxy with three edges and a service that outlive the runners on them, and runners that can be killed."""

from __future__ import annotations

import http.server
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import psutil

from chaos import (
    Bandwidth,
    Blackhole,
    Down,
    Freeze,
    HalfOpen,
    Kill,
    Latency,
    LimitData,
    Pause,
    ResetPeer,
    Restart,
    Slicer,
    SlowClose,
    config,
    flapping,
    inject,
    rearmed,
    together,
)
from chaos.clock import wait_for
from chaos.config import Address
from chaos.guard import log
from chaos.lab import Lab
from chaos.probes import Answer, probe
from chaos.processes.supervisor import Process, Supervisor
from chaos.proxies import Toxiproxy
from chaos.stacks import cache, ports, toxiproxy
from chaos.stacks.attached import attach
from chaos.stacks.control import Control

SERVICE = "http"
EDGES = ("one.http", "two.http", "three.http")
ON_EDGES = (
    Bandwidth(rate_kbps=16),
    Blackhole(),
    Down(),
    Freeze(),
    HalfOpen(toxicity=0.5),
    Latency(delay_ms=40),
    LimitData(bytes=40),
    ResetPeer(),
    Slicer(average_bytes=8),
    SlowClose(delay_ms=40),
    flapping(Down(), on_ms=50, off_ms=50),
    rearmed(ResetPeer(toxicity=0.3), every_ms=50),
    together(Latency(delay_ms=40), HalfOpen()),
)
ON_SERVICE = (Kill(), Pause(), Restart())
HELD_S, BETWEEN_S = 0.2, 0.02
PACKAGE = Path(__file__).parent.parent


class _Well(http.server.BaseHTTPRequestHandler):
    """A service that is always well."""

    def do_GET(self) -> None:
        """Answer at once."""
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Stay silent."""


class _Server(http.server.ThreadingHTTPServer):
    request_queue_size = 128  # a paused service goes on being connected to


def serve() -> None:
    """The service's life."""
    _Server(("127.0.0.1", int(os.environ["PORT"])), _Well).serve_forever(poll_interval=0.05)


@dataclass(kw_only=True)
class Rig:
    """A project with a service, and three edges to it on a Toxiproxy of its own.

    Attributes:
        root: the project's folder.
        process: the Toxiproxy; ``replace`` starts another one in its place.
        service: what the edges lead to.
    """

    root: Path
    port: int
    supervisor: Supervisor
    process: Process
    service: Process

    @property
    def server(self) -> Toxiproxy:
        """Its control plane."""
        return Toxiproxy(f"http://127.0.0.1:{self.port}")

    def runner(self, seed: int) -> Process:
        """Start a runner that injects and heals at random until it is killed."""
        return self.spawn("bench._rig:break_at_random", SEED=str(seed))

    def spawn(self, target: str, **env: str) -> Process:
        """Start the function *target* as a runner of this project; it finds the folder in PROJECT."""
        return self.supervisor.spawn(
            "runner",
            target=target,
            env={
                "PATH": os.defpath,
                "PYTHONPATH": str(PACKAGE),
                "PROJECT": str(self.root),
                "SUPERVISOR": str(self.supervisor.path),
                "SERVICE": str(self.service.number),
                **env,
            },
            cwd=self.root,
            log=self.root / "runner.log",
        )

    def injects(self, pid: int) -> bool:
        """Whether the runner *pid* owes something."""
        return any(self._contents(path).owed for path in self.logs() if path.name.startswith(f"{pid}-"))

    def logs(self) -> list[Path]:
        """The undo logs."""
        return log.paths(self.root)

    def owed(self) -> list[str]:
        """What is owed in all logs, as the commands that undo it by hand."""
        return [entry.undo.by_hand() for path in self.logs() for entry in self._contents(path).owed.values()]

    def is_clean(self) -> bool:
        """Whether no toxic is left, every proxy listens, and every edge answers on the wire."""
        held = self.server.proxies()
        bare = all(proxy.enabled and not proxy.toxics() for proxy in held.values())
        listens = [Address.parse(proxy.listen) for proxy in held.values()]
        return len(held) == len(EDGES) and bare and all(probe(a, "http").answer is Answer.ANSWERED for a in listens)

    def command(self, *arguments: str) -> subprocess.Popen[str]:
        """Start ``chaos-lab`` in the project."""
        return subprocess.Popen(  # noqa: S603  (our own module)
            [sys.executable, "-m", "chaos", *arguments],
            cwd=self.root,
            env=os.environ | {"PYTHONPATH": str(PACKAGE), "NO_COLOR": "1", "COLUMNS": "200"},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def replace(self) -> None:
        """Start another Toxiproxy, after the first has been killed."""
        self.process = _toxiproxy(self.supervisor, self.root, self.port)

    def _contents(self, path: Path) -> log.Contents:
        return log.read(path, log.limits(config.load(self.root)))


@contextmanager
def rig() -> Iterator[Rig]:
    """A rig that is there for the length of the block."""
    block = ports.claim(cache.folder() / "ports", len(EDGES) + 2)
    with tempfile.TemporaryDirectory(prefix="chaos-lab-guard-") as folder, Supervisor.start(PACKAGE) as supervisor:
        root = Path(folder)
        port, upstream, *listens = block.ports
        (root / "pyproject.toml").write_text(
            f'[tool.chaos-lab]\ntoxiproxy-port = {port}\nprotocols = {{"*" = "http"}}\n'
            f'[tool.chaos-lab.services.{SERVICE}]\nrun = "bench._rig:serve"\nports = {{http = {upstream}}}\n',
            encoding="utf-8",
        )
        edges = [
            {"name": name, "listen": f"127.0.0.1:{listen}", "upstream": f"127.0.0.1:{upstream}"}
            for name, listen in zip(EDGES, listens, strict=True)
        ]
        (root / "toxiproxy.json").write_text(json.dumps(edges), encoding="utf-8")
        supervisor.preload(["bench._rig"])
        service = supervisor.spawn(
            SERVICE,
            target="bench._rig:serve",
            env={"PATH": os.defpath, "PORT": str(upstream)},
            cwd=root,
            log=root / "service.log",
        )
        _wait_ready(upstream)
        process = _toxiproxy(supervisor, root, port)
        try:
            yield Rig(root=root, port=port, supervisor=supervisor, process=process, service=service)
        finally:
            block.release()


@contextmanager
def lab_of_runner() -> Iterator[Lab]:
    """The lab of the rig that started this process, whose service can be hit too."""
    settings = config.load(Path(os.environ["PROJECT"]))
    port = settings.settings.services[SERVICE].ports["http"]
    with Supervisor(Path(os.environ["SUPERVISOR"])) as supervisor:
        service = Process(
            supervisor=supervisor,
            number=int(os.environ["SERVICE"]),
            name=SERVICE,
            log=settings.root / "service.log",
            stop_signal=signal.SIGTERM,
        )
        control = Control({SERVICE: service}, lambda _: _wait_ready(port))
        lab = Lab(settings, replace(attach(settings), control=control))
        try:
            yield lab
        finally:
            lab.keeper.close(gone=False)


def _wait_ready(port: int) -> None:
    address = Address("127.0.0.1", port)
    wait_for(lambda: probe(address, "http").answer is Answer.ANSWERED, what="the service answers", within_s=10)


def _toxiproxy(supervisor: Supervisor, root: Path, port: int) -> Process:
    process = supervisor.spawn(
        "toxiproxy",
        argv=[
            str(toxiproxy.provide(lambda _: None)),
            *("-host", "127.0.0.1", "-port", str(port), "-config", str(root / "toxiproxy.json")),
        ],
        env={"LOG_LEVEL": "error"},
        cwd=root,
        log=root / "toxiproxy.log",
    )
    wait_for(Toxiproxy(f"http://127.0.0.1:{port}").running, what="Toxiproxy answers", within_s=10)
    return process


def break_at_random() -> None:
    """A runner's life: one fault after another, two at a time, healed after a moment."""
    chance = random.Random(int(os.environ["SEED"]))  # noqa: S311  (nothing secret)
    with lab_of_runner() as lab:
        held = []
        while True:
            fault = chance.choice([*ON_EDGES, *ON_SERVICE])
            on = SERVICE if fault in ON_SERVICE else chance.choice([*EDGES, "*"])
            held.append(inject(fault, lab, on))
            time.sleep(chance.random() * HELD_S)
            if len(held) > 1:
                held.pop(chance.randrange(2)).heal()
                time.sleep(chance.random() * BETWEEN_S)


def guard_of(pid: int) -> psutil.Process:
    """The guard of the runner *pid*."""

    def found() -> psutil.Process | None:
        children = psutil.Process(pid).children()
        return next((child for child in children if child.name() == "chaos-guard" and child.is_running()), None)

    return wait_for(found, what="the runner has a guard", within_s=10)


def kill(runner: Process) -> None:
    """SIGKILL; returns when the kernel has forgotten it."""
    os.kill(runner.pid, signal.SIGKILL)
    wait_for(lambda: runner.status() is not None, what="the runner is dead", within_s=5, every_s=0.001)
