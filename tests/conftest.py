"""What many tests need: a project folder, a fork server, a real Toxiproxy of their own."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from chaos.clock import wait_for
from chaos.processes.supervisor import Supervisor
from chaos.proxies import Toxiproxy
from chaos.stacks import cache, ports, toxiproxy
from tests.support import project

ROOT = Path(__file__).parent.parent


@pytest.fixture
def tiny(tmp_path: Path) -> Path:
    """The project folder of the tiny platform."""
    return project.make(tmp_path / "project")


@pytest.fixture(scope="session")
def supervisor() -> Iterator[Supervisor]:
    """This worker's fork server."""
    with Supervisor.start(ROOT) as running:
        yield running


@pytest.fixture(scope="session")
def block() -> Iterator[ports.PortBlock]:
    """Ten ports of this worker's own."""
    claimed = ports.claim(cache.folder() / "ports", 10)
    yield claimed
    claimed.release()


@contextmanager
def toxiproxy_on(supervisor: Supervisor, port: int, folder: Path) -> Iterator[Toxiproxy]:
    """A real Toxiproxy on *port*, without any proxy."""
    argv = [str(toxiproxy.provide(print)), "-host", "127.0.0.1", "-port", str(port)]
    process = supervisor.spawn("toxiproxy", argv=argv, env={"LOG_LEVEL": "error"}, cwd=folder, log=folder / "log")
    server = Toxiproxy(f"http://127.0.0.1:{port}")
    wait_for(server.running, what="Toxiproxy answers", within_s=10)
    yield server
    server.close()
    process.stop()


@pytest.fixture(scope="session")
def toxiproxy_server(
    supervisor: Supervisor, block: ports.PortBlock, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Toxiproxy]:
    """This worker's Toxiproxy."""
    with toxiproxy_on(supervisor, block.ports[0], tmp_path_factory.mktemp("toxiproxy")) as server:
        yield server


@pytest.fixture
def expendable(supervisor: Supervisor, block: ports.PortBlock, tmp_path: Path) -> Iterator[Toxiproxy]:
    """A Toxiproxy that a test may ruin."""
    with toxiproxy_on(supervisor, block.ports[8], tmp_path) as server:
        yield server


@pytest.fixture
def server(toxiproxy_server: Toxiproxy) -> Iterator[Toxiproxy]:
    """This worker's Toxiproxy, empty before and after the test."""
    yield toxiproxy_server
    for proxy in toxiproxy_server.proxies().values():
        proxy.destroy()
