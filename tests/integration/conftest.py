"""Fixtures and configuration of the integration tests (layer 4).

By default every worker of pytest-xdist gets an embedded platform of its own for the session. When
API_GATEWAY_URL, WIDGET_CORE_URL, ORB_CORE_URL or SECURITY_SERVICE_URL is set, the tests run against that
platform instead, one at a time, with POSTGRES_* and REDIS_* for its stores, and with TOXIPROXY_URL for faults. The
tests delete what is in the stores: they must be on this machine, or listed in ``allow-hosts``, and the database must
be one for tests, with a name that ends in "_test". `chaos-lab up` keeps such a platform (REDIS_PASSWORD=test_password).
"""

import fcntl
import os
import tempfile
import uuid
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, Final

import pytest
import redis
import requests
from requests.adapters import HTTPAdapter

from chaos import config as configuration
from chaos.lab import Lab
from chaos.processes.supervisor import Supervisor
from services import plants
from services.client import ApiGatewayClient, OrbCoreClient, SecurityServiceClient, WidgetCoreClient
from tests.integration.support import cleaning, performance, planted, readiness, stack
from tests.integration.support.patience import BUSY, Calm, decided
from tests.integration.support.performance import PerformanceTracker, Samples
from tests.integration.support.stack import NO_TOXIPROXY, Connection, Cursor, Platform

HERE: Final = Path(__file__).parent
CONNECTIONS: Final = 64
HANDED_ON: Final = (plants.VARIABLE,)
READY_WITHIN: Final = "SERVICES_READY_WITHIN_S"

_SAMPLES: Final = pytest.StashKey[Samples]()
_JUDGED: Final = pytest.StashKey[list[planted.Judged]]()
_FORKSERVER: Final = pytest.StashKey[Supervisor]()
_WORKER_FORKSERVER: Final = "integration_forkserver"
_WORKER_SAMPLES: Final = "integration_samples"


# --- the platform ---------------------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def platform(pytestconfig: pytest.Config) -> Iterator[Platform]:
    """The platform under test: embedded, or the running one that the environment names."""
    config = configuration.load(pytestconfig.rootpath)
    if stack.is_attached():
        with stack.attached(config) as running:
            yield running
        return
    environment = {name: os.environ[name] for name in HANDED_ON if os.environ.get(name)}
    shared = getattr(pytestconfig, "workerinput", {}).get(_WORKER_FORKSERVER)
    start = Supervisor(Path(shared)) if shared else Supervisor.start(config.root)
    with start as supervisor, stack.own(config, supervisor, environment) as own:
        yield own


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """All workers of pytest-xdist share one fork server: the services are imported once."""
    if stack.is_attached():
        return
    stash = node.config.stash
    if _FORKSERVER not in stash:
        stash[_FORKSERVER] = Supervisor.start(node.config.rootpath)
        node.config.add_cleanup(stash[_FORKSERVER].close)
    node.workerinput[_WORKER_FORKSERVER] = str(stash[_FORKSERVER].path)


@pytest.fixture(scope="session", autouse=True)
def wait_for_services(platform: Platform) -> None:
    """Run before all tests: every service answers its health check, or the run fails with what was last seen."""
    within_s = float(os.environ.get(READY_WITHIN) or readiness.READY_WITHIN_S)
    readiness.wait_ready(readiness.services(platform), within_s)


@pytest.fixture(autouse=True)
def _one_at_a_time(platform: Platform) -> Iterator[None]:
    """Workers that share one running platform take turns: each test has it for itself."""
    if platform.embedded:
        yield
        return
    name = "".join(char if char.isalnum() else "-" for char in platform.gateway)
    with (Path(tempfile.gettempdir()) / f"integration-{name}.lock").open("w") as turn:
        fcntl.flock(turn, fcntl.LOCK_EX)
        yield


# --- service clients ------------------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def http_session() -> Iterator[requests.Session]:
    """A session for plain requests, with connections for all threads of a test; it ignores HTTP_PROXY."""
    with requests.Session() as session:
        session.trust_env = False
        session.mount("http://", HTTPAdapter(pool_maxsize=CONNECTIONS))
        yield session


@pytest.fixture
def api_gateway_client(
    platform: Platform, http_session: requests.Session, authenticated_token: str
) -> ApiGatewayClient:
    """The API Gateway's client; it carries ``authenticated_token`` unless a call names another one."""
    return ApiGatewayClient(platform.gateway, token=authenticated_token, session=http_session)


@pytest.fixture
def widget_core_client(
    platform: Platform, http_session: requests.Session, authenticated_token: str
) -> WidgetCoreClient:
    """Widget Core's client, past the gateway; it carries ``authenticated_token``."""
    return WidgetCoreClient(platform.widget_core, token=authenticated_token, session=http_session)


@pytest.fixture
def security_service_client(platform: Platform, http_session: requests.Session) -> SecurityServiceClient:
    """The Security Service's client, past the gateway; it carries no token."""
    return SecurityServiceClient(platform.security, session=http_session)


@pytest.fixture
def orb_core_client(platform: Platform, http_session: requests.Session) -> OrbCoreClient:
    """ORB Core's client: health, objects and the counters of native memory."""
    return OrbCoreClient(platform.orb_core, session=http_session)


# --- stores ---------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def postgres_connection(platform: Platform) -> Iterator[Connection]:
    """A connection to PostgreSQL past every proxy, in autocommit mode, for the session."""
    with closing(platform.connect()) as connection:
        yield connection


@pytest.fixture
def postgres_cursor(postgres_connection: Connection) -> Iterator[Cursor]:
    """A cursor of PostgreSQL for one test."""
    with postgres_connection.cursor() as cursor:
        yield cursor


@pytest.fixture
def clean_database(
    platform: Platform, http_session: requests.Session, postgres_cursor: Cursor, _caretaker: str
) -> None:
    """Before the test: no widgets, no native objects, no users; schema, signing keys and audit log stay."""
    cleaning.clean_stores(
        postgres_cursor,
        WidgetCoreClient(platform.widget_core, token=_caretaker, session=http_session),
        OrbCoreClient(platform.orb_core, session=http_session),
    )


@pytest.fixture(scope="session")
def redis_client(platform: Platform) -> Iterator[redis.Redis]:
    """A client of Redis past every proxy, for the session; it answers text."""
    with closing(platform.open_redis()) as client:
        yield client


@pytest.fixture
def clean_redis(redis_client: redis.Redis) -> None:
    """Before the test: no cached widgets and no request counters; published revocations stay."""
    cleaning.clean_cache(redis_client)


# --- test data ------------------------------------------------------------------------------------------------------


@pytest.fixture
def sample_widget_data() -> dict[str, Any]:
    """The body of a widget that no other test makes."""
    name = f"gauge-{uuid.uuid4().hex[:12]}"
    return {"name": name, "description": "shows the oil pressure", "payload": {"colour": "green", "limits": [0, 10]}}


@pytest.fixture
def sample_user_data() -> dict[str, str]:
    """Address and password of a user who is not registered yet."""
    return {"email": f"{uuid.uuid4().hex}@example.org", "password": "correct horse battery"}


@pytest.fixture
def authenticated_token(
    request: pytest.FixtureRequest, platform: Platform, http_session: requests.Session, wait_for_services: None
) -> str:
    """A valid access token of a new editor.

    A test that also wants ``clean_database`` gets it first, in whatever order it names the two.
    """
    if "clean_database" in request.fixturenames:
        request.getfixturevalue("clean_database")
    return _new_user(platform, http_session)


@pytest.fixture(scope="session")
def _caretaker(platform: Platform, http_session: requests.Session, wait_for_services: None) -> str:
    """The access token of the user who cleans up and drives the platform back to health.

    Services that were started just now have met each other, and this user, when the first test begins.
    """
    token = _new_user(platform, http_session, cleaning.CARETAKER)
    client = ApiGatewayClient(platform.gateway, token=token, session=http_session)
    readiness.steady(platform, lambda: readiness.exercise(client))
    return token


@pytest.fixture(scope="session", autouse=True)
def _steady_at_first(_caretaker: str) -> None:
    """No test is the first to use a platform."""


def _new_user(platform: Platform, session: requests.Session, prefix: str = "") -> str:
    """Register somebody, log in, and return the access token."""
    client = ApiGatewayClient(platform.gateway, session=session)
    user = {"email": f"{prefix}{uuid.uuid4().hex}@example.org", "password": "correct horse battery"}
    made = decided(lambda _: client.register_user(user), BUSY)
    assert made.status_code in {201, 409}, f"registering: {made.status_code} {made.text}"  # 409: it was done unseen
    answer = decided(lambda _: client.login(user), BUSY)
    assert answer.status_code == 200, f"logging in: {answer.status_code} {answer.text}"
    return str(answer.json()["access_token"])


@pytest.fixture
def calm(
    api_gateway_client: ApiGatewayClient,
    widget_core_client: WidgetCoreClient,
    security_service_client: SecurityServiceClient,
) -> Calm:
    """Call it with a workflow that expects every call between services to succeed within its milliseconds."""
    return Calm(api_gateway_client, widget_core_client, security_service_client)


# --- faults ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def lab(platform: Platform, steady: Callable[[], None]) -> Iterator[Lab]:
    """The lab around the platform, for faults; before and after the test the platform is well.

    Skips when the platform is attached and TOXIPROXY_URL is not set.
    """
    if platform.lab is None:
        pytest.skip(NO_TOXIPROXY)
    if readiness.degraded(platform):
        steady()
    yield platform.lab
    steady()


@pytest.fixture
def steady(platform: Platform, http_session: requests.Session, _caretaker: str) -> Callable[[], None]:
    """Call it to wait until every fault is healed, every breaker closed and ordinary requests succeed."""
    client = ApiGatewayClient(platform.gateway, token=_caretaker, session=http_session)
    return lambda: readiness.steady(platform, lambda: readiness.exercise(client))


# --- planted defects ------------------------------------------------------------------------------------------------


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add ``--planted``."""
    parser.addoption(
        "--planted",
        action="store_true",
        help="plant each defect that a test names, run that test, and fail when one of them stays green",
    )


@pytest.hookimpl(tryfirst=True)
def pytest_runtestloop(session: pytest.Session) -> bool | None:
    """With ``--planted``: instead of running the tests, judge them against each defect that they name."""
    if not session.config.option.planted or session.config.option.collectonly:
        return None
    if stack.is_attached() or getattr(session.config.option, "numprocesses", None):
        message = (
            "--planted starts platforms of its own: use it without -n and without API_GATEWAY_URL and its siblings"
        )
        raise pytest.UsageError(message)
    judged = session.config.stash[_JUDGED]
    for line in planted.judge(session.config.rootpath, planted.by_defect(session.items)):
        judged.append(line)  # what was judged is shown, whatever comes next
        session.testsfailed += line.verdict.kind != planted.RED
    return True


def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> None:
    """Let a JUnit report tell a test's own assertion from any other end."""
    if call.excinfo and call.when == "call":
        item.user_properties.append((planted.RAISED, call.excinfo.typename))


# --- performance ----------------------------------------------------------------------------------------------------


@pytest.fixture
def performance_tracker(pytestconfig: pytest.Config) -> Iterator[PerformanceTracker]:
    """Tracks execution time: ``start()``, ``stop()``, ``assert_duration_under(seconds, message)``.

    What one test measures it judges alone; after the test its samples go into the table of the run.
    """
    tracker = PerformanceTracker()
    yield tracker
    performance.merge(pytestconfig.stash[_SAMPLES], tracker.samples)


def pytest_configure(config: pytest.Config) -> None:
    """Begin to collect what the tests measure, and what is said of planted defects."""
    config.stash[_JUDGED] = []
    samples: Samples = {name: [] for name in performance.TARGETS}
    config.stash[_SAMPLES] = samples


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark everything in this folder as an integration test."""
    for item in items:
        if HERE in item.path.parents:
            item.add_marker("integration")


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """A worker of pytest-xdist hands what it measured to the controller."""
    if hasattr(session.config, "workeroutput"):
        session.config.workeroutput[_WORKER_SAMPLES] = session.config.stash[_SAMPLES]


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """The controller collects what a worker measured."""
    performance.merge(node.config.stash[_SAMPLES], getattr(node, "workeroutput", {}).get(_WORKER_SAMPLES, {}))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Print the verdicts on planted defects, and the table of targets with what was measured."""
    if judged := config.stash[_JUDGED]:
        terminalreporter.section("planted defects")
        terminalreporter.write_line("\n".join(planted.table(judged)))
    samples = config.stash[_SAMPLES]
    if any(samples.values()):
        terminalreporter.section("performance")
        terminalreporter.write_line("\n".join(performance.table(samples)))
