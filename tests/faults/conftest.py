"""A lab with one service, Redis and Postgres, shared by the tests of one worker and whole after each."""

from collections.abc import Iterator

import pytest
from hypothesis import settings

from chaos import config
from chaos.config import Config
from chaos.lab import Lab, embedded
from chaos.processes.supervisor import Supervisor
from tests.support import project

settings.load_profile("ci")  # the same examples every time

EDGES = [
    *project.EDGES,
    {"name": "web.postgres", "listen": "127.0.0.1:11002", "upstream": "127.0.0.1:5432"},
    {"name": "user.web", "listen": "127.0.0.1:11003", "upstream": "127.0.0.1:8080"},
]
PYPROJECT = project.PYPROJECT.replace(
    '{"*.redis" = "redis"}\n',
    '{"*.redis" = "redis", "*.postgres" = "postgres", "*.web" = "http"}\n[tool.chaos-lab.postgres]\n',
)


@pytest.fixture(scope="session")
def loaded(tmp_path_factory: pytest.TempPathFactory) -> Config:
    """The project of these labs."""
    return config.load(project.make(tmp_path_factory.mktemp("faults") / "project", pyproject=PYPROJECT, edges=EDGES))


@pytest.fixture(scope="session")
def one_lab(supervisor: Supervisor, loaded: Config) -> Iterator[Lab]:
    """This worker's lab."""
    with embedded(loaded, supervisor) as running:
        yield running


@pytest.fixture
def lab_of_its_own(supervisor: Supervisor, loaded: Config) -> Iterator[Lab]:
    """A lab that a test may ruin: once the guard has healed in it, it takes no more faults."""
    with embedded(loaded, supervisor) as running:
        yield running


@pytest.fixture
def lab(one_lab: Lab) -> Iterator[Lab]:
    """The same lab; after the test everything works."""
    yield one_lab
    for name in one_lab.processes.names():
        one_lab.processes.resume(name)
        one_lab.processes.start(name)
    one_lab.restore()
