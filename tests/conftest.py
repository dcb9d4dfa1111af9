"""What many tests need: a project folder, a fork server, a real Toxiproxy of their own."""

import fcntl
import os
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
NESTED = "PYTEST_CURRENT_TEST" in os.environ  # a test runs pytest: it has its turn already


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run last what minds most what else the machine does, each group in its random order."""

    def place(item: pytest.Item) -> tuple[bool, ...]:
        return (
            _has(item, "alone"),
            _has(item, "performance"),
            ROOT / "tests/integration" in item.path.parents,
            _has(item, "integration"),
        )

    items.sort(key=place)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[None]:
    """Give a test marked `alone` the machine to itself: the other workers wait meanwhile."""
    if NESTED:
        return (yield)
    with Path(__file__).open() as machine:
        fcntl.flock(machine, fcntl.LOCK_EX if _has(item, "alone") else fcntl.LOCK_SH)
        try:
            return (yield)
        finally:
            fcntl.flock(machine, fcntl.LOCK_UN)  # also for the children that have inherited it


def _has(item: pytest.Item, mark: str) -> bool:
    return item.get_closest_marker(mark) is not None


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
    """This worker's Toxiproxy, empty before and after the test, by a client that no other test has touched."""
    own = Toxiproxy(toxiproxy_server.url)
    yield own
    own.close()
    for proxy in toxiproxy_server.proxies().values():
        proxy.destroy()
