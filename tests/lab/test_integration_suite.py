"""The integration suite as people run it: attached to a platform that ``chaos-lab up`` keeps."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from chaos import config as configuration
from chaos.clock import wait_for
from chaos.health import look
from chaos.stacks import cache, ports
from tests.lab.test_lab import CHAOS_LAB, environment

ROOT = Path(__file__).parent.parent.parent
PASSED = re.compile(r"(\d+) passed")

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def numbers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, int]]:
    """A port of its own for everything that ``chaos-lab up`` starts."""
    config = configuration.load(ROOT)
    block = ports.claim(cache.folder() / "ports", len(config.ports()))
    yield dict(block.assign(config.ports()))
    block.release()


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory, numbers: dict[str, int]) -> Path:
    """This project on those ports."""
    folder = tmp_path_factory.mktemp("project")
    config = configuration.load(ROOT)
    moved = {str(port): str(numbers[what]) for what, port in config.ports().items()}
    for name in ("pyproject.toml", "toxiproxy.json"):
        text = (ROOT / name).read_text()
        for what, to in (("toxiproxy", "toxiproxy-port"), ("postgres", "port"), ("redis", "port")):
            if name == "pyproject.toml":
                head = "[tool.chaos-lab]\n" if what == "toxiproxy" else f"[tool.chaos-lab.{what}]\n"
                text = text.replace(head, f"{head}{to.replace('-', '_')} = {numbers[what]}\n", 1)
        (folder / name).write_text(re.sub(r"\b\d{4,5}\b", lambda match: moved.get(match[0], match[0]), text))
    (folder / "services").symlink_to(ROOT / "services")
    (folder / "scenarios").symlink_to(ROOT / "scenarios")
    return folder


@pytest.fixture(scope="module")
def variables(numbers: dict[str, int]) -> dict[str, str]:
    """What attaches the suite to that platform, without its Toxiproxy."""
    urls = {
        "API_GATEWAY_URL": "gateway http",
        "WIDGET_CORE_URL": "widget-core http",
        "ORB_CORE_URL": "orb-core http",
        "SECURITY_SERVICE_URL": "security http",
        "ORB_METRICS_URL": "orb-core metrics",
    }
    stores = {"POSTGRES_PORT": str(numbers["postgres"]), "REDIS_PORT": str(numbers["redis"])}
    stores["REDIS_PASSWORD"] = "test_password"  # noqa: S105  (that of every platform that `chaos-lab up` keeps)
    return {name: f"http://127.0.0.1:{numbers[what]}" for name, what in urls.items()} | stores


@pytest.fixture(scope="module")
def running(project: Path) -> Iterator[None]:
    """``chaos-lab up`` in a process of its own."""
    up = subprocess.Popen(
        [*CHAOS_LAB, "up"], cwd=project, env=environment(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    config = configuration.load(project)
    wait_for(
        lambda: up.poll() is not None or all(part.well for part in look(config)),
        what="the platform is up",
        within_s=60,
        every_s=0.2,
    )
    assert up.poll() is None, "chaos-lab up has ended"
    yield
    up.terminate()
    up.wait(timeout=20)


def suite(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run some of the suite to its end."""
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *arguments],
        cwd=ROOT / "tests" / "integration",
        env=os.environ | variables,
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
    )


def passed(done: subprocess.CompletedProcess[str]) -> int:
    """How many tests passed."""
    found = PASSED.search(done.stdout)
    assert found, done.stdout[-3000:] + done.stderr[-1000:]
    return int(found[1])


def test_the_suite_runs_against_a_platform_that_runs_already(running: None, variables: dict[str, str]) -> None:
    """Two workers take turns; without a Toxiproxy only what needs a fault skips, and says why."""
    files = ("test_widget_workflow.py", "test_orb_integration.py")
    done = suite(*files, "-n", "2", "-rs", **variables)
    assert done.returncode == 0, done.stdout[-3000:]
    assert passed(done) >= 28
    skips = [line for line in done.stdout.splitlines() if line.startswith("SKIPPED")]
    assert skips
    assert all("TOXIPROXY_URL is not set" in line for line in skips)
    assert "Bulk Operations (100x)" in done.stdout


def test_faults_go_through_the_toxiproxy_that_is_named(
    running: None, variables: dict[str, str], numbers: dict[str, int]
) -> None:
    """With TOXIPROXY_URL the same tests break the running platform and leave it well: nothing skips."""
    url = f"http://127.0.0.1:{numbers['toxiproxy']}"
    done = suite(
        "test_orb_integration.py", "test_error_recovery.py", "-k", "TestORB or Redis", **variables, TOXIPROXY_URL=url
    )
    assert done.returncode == 0, done.stdout[-3000:]
    assert passed(done) >= 10
    assert "skipped" not in done.stdout


def test_services_that_are_not_there_fail_the_run_with_what_was_last_seen() -> None:
    """As the troubleshooting section says it, with the waiting time that was given."""
    done = suite(
        "test_widget_workflow.py", "-k", "deleting", API_GATEWAY_URL="http://127.0.0.1:9", SERVICES_READY_WITHIN_S="0.2"
    )
    assert done.returncode == 1
    assert "API Gateway not ready after 0.2s" in done.stdout
    assert "last: ConnectionError" in done.stdout


def test_a_database_that_is_not_for_tests_is_left_alone(running: None, variables: dict[str, str]) -> None:
    """Nothing is deleted: the run ends before the first test, and says which name would do."""
    done = suite("test_widget_workflow.py", "-k", "deleting", **variables, POSTGRES_DB="shop")
    assert done.returncode == 1
    assert "POSTGRES_DB='shop' does not end in '_test'" in done.stdout
    assert "such as 'microservices_test'" in done.stdout


def test_a_toxiproxy_without_our_edges_is_refused(running: None, variables: dict[str, str], server) -> None:
    """The error names what is missing."""
    done = suite("test_widget_workflow.py", "-k", "deleting", **variables, TOXIPROXY_URL=server.transport.url)
    assert done.returncode == 1
    assert "holds no proxy for gateway.redis" in done.stdout


def test_a_planted_defect_is_judged() -> None:
    """The table names defect, test and verdict; the run fails exactly when one survives."""
    done = suite("--planted", "test_concurrent_operations.py", "-k", "one_of_many_writers", "-p", "no:randomly")
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"red +widget-core\.if_match +test_one_of_many_writers_wins", done.stdout)
