"""The whole platform, for real, on loopback: stores of its own and services forked in an instant."""

import contextlib
import itertools
import os
import signal
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import pytest
import requests

from chaos.processes.supervisor import Supervisor
from tests.conformance.platform import stores
from tests.conformance.platform.stores import Stores, free_port, wait_until

LOOPBACK = "127.0.0.1"
NAMES = ("gateway", "widget_core", "orb_core", "security")
ADMIN = {"email": "admin@example.org", "password": "administrator"}


@dataclass
class Platform:
    """Addresses of the services, and how to talk to them."""

    ports: dict[str, int]
    pids: dict[str, int]
    stores: Stores
    fork: Callable[[str], int]
    http: requests.Session = field(default_factory=requests.Session)

    def url(self, path: str, service: str = "gateway") -> str:
        """Return the URL of *path* at *service*."""
        return f"http://{LOOPBACK}:{self.ports[service]}{path}"

    def call(self, method: str, path: str, *, token: str | None = None, service: str = "gateway", **more):
        """Make a request."""
        headers = {"authorization": f"Bearer {token}"} if token else {}
        headers |= more.pop("headers", {})
        return self.http.request(method, self.url(path, service), headers=headers, timeout=5, **more)

    def login(self, credentials=None) -> dict:
        """Register, unless given, and log in; return the pair of tokens."""
        if credentials is None:
            credentials = {"email": f"{uuid.uuid4()}@example.org", "password": "long enough"}
            assert self.call("POST", "/api/v1/auth/register", json=credentials).status_code == 201
        answer = self.call("POST", "/api/v1/auth/login", json=credentials)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def token(self) -> str:
        """Return the access token of a new user."""
        return self.login()["access_token"]

    def create(self, token: str, name: str = "gauge", **more):
        """Make a widget and return the answer."""
        return self.call("POST", "/api/v1/widgets", token=token, json={"name": name, **more.pop("json", {})}, **more)

    def count(self, statement: str, *values) -> int:
        """Return the one number that *statement* gives."""
        connection = self.stores.connect()
        with contextlib.closing(connection), connection.cursor() as cursor:
            cursor.execute(statement, values)
            return cursor.fetchone()[0]

    def metric(self, service: str, name: str, /, **labels: str) -> float:
        """Return the value of a metric with these labels, 0 when it is not there."""
        wanted = {f'{label}="{value}"' for label, value in labels.items()}
        for line in self.call("GET", "/metrics", service=service).text.splitlines():
            if line.startswith(name) and all(pair in line for pair in wanted):
                return float(line.rsplit(" ", 1)[1])
        return 0.0

    def restart(self, service: str) -> None:
        """Kill a service and start it again."""
        self.stop(service, signal.SIGKILL)
        wait_until(lambda: not healthy(self, service))
        self.pids[service] = self.fork(service)
        wait_until(lambda: healthy(self, service))

    def stop(self, service: str, number: int = signal.SIGTERM) -> None:
        """Send a signal to a service, unless it has ended already."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pids[service], number)


@pytest.fixture(scope="session")
def running_stores(tmp_path_factory, supervisor: Supervisor) -> Iterator[Stores]:
    """Postgres and Valkey, or a skip that says why not."""
    if reason := stores.missing():
        pytest.skip(reason)
    with stores.running(tmp_path_factory.mktemp("stores"), supervisor) as found:
        yield found


@pytest.fixture(scope="session")
def fork_service(supervisor: Supervisor, tmp_path_factory) -> Callable[[str, dict[str, str]], int]:
    """Fork a service that is imported already, and return its pid; it ends with the session."""
    supervisor.preload([f"services.{name}.main" for name in NAMES])
    logs = tmp_path_factory.mktemp("services")

    def fork(name: str, env: dict[str, str]) -> int:
        return supervisor.spawn(name, target=f"services.{name}.main:main", env=env, cwd=logs, log=logs / name).pid

    return fork


@pytest.fixture(scope="session")
def start(running_stores, fork_service):
    """Start a platform of its own; what is given is added to the environment of each service."""
    numbers = itertools.count()

    def start(**more: str) -> Platform:
        ports = {name: free_port() for name in NAMES}
        ports |= {"iiop": free_port(), "metrics": free_port()}
        own = running_stores.copy(f"platform_{next(numbers)}")
        env = environment(own, ports) | {"LOGIN_LIMIT_PER_MINUTE": "100000"} | more

        def fork(name: str) -> int:
            return fork_service(name, env | {"PORT": str(ports[name])})

        pids = {name: fork(name) for name in NAMES}
        platform = Platform(ports=ports, pids=pids, stores=own, fork=fork)
        platform.http.trust_env = False
        for name in NAMES:
            wait_until(lambda name=name: healthy(platform, name))
        return platform

    return start


def environment(found: Stores, ports: dict[str, int]) -> dict[str, str]:
    """Return the variables that all services share."""
    return {
        "PATH": os.environ["PATH"],
        "SERVICE_PROFILE": "lab",
        "POSTGRES_HOST": found.postgres.host,
        "POSTGRES_PORT": str(found.postgres.port),
        "POSTGRES_DB": found.postgres.database,
        "POSTGRES_PASSWORD": found.postgres.password,
        "REDIS_HOST": LOOPBACK,
        "REDIS_PORT": str(found.redis_port),
        "REDIS_PASSWORD": found.postgres.password,
        "WIDGET_CORE_URL": f"http://{LOOPBACK}:{ports['widget_core']}",
        "SECURITY_SERVICE_URL": f"http://{LOOPBACK}:{ports['security']}",
        "ORB_CORE_IIOP": f"{LOOPBACK}:{ports['iiop']}",
        "IIOP_PORT": str(ports["iiop"]),
        "METRICS_PORT": str(ports["metrics"]),
        "ADMIN_EMAIL": ADMIN["email"],
        "ADMIN_PASSWORD": ADMIN["password"],
        "LOG_LEVEL": "ERROR",
    }


def healthy(platform: Platform, name: str) -> bool:
    """Tell whether a service answers and is not degraded."""
    try:
        return platform.call("GET", "/health", service=name).json()["status"] == "ok"
    except requests.RequestException:
        return False


@pytest.fixture(scope="session")
def platform(start) -> Platform:
    """One platform with everything switched on, shared by the tests that break nothing."""
    return start()
