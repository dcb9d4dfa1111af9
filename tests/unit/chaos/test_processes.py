"""A process of the lab starts in a blink, and never outlives what started it."""

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import textwrap
from pathlib import Path

import psutil
import pytest

from chaos.clock import wait_for
from chaos.errors import StackError
from chaos.processes import run_folder
from chaos.processes.supervisor import Process, Supervisor

ROOT = Path(__file__).parent.parent.parent.parent


def sleeper(supervisor: Supervisor, folder: Path) -> Process:
    """A program that does nothing for a long time."""
    return supervisor.spawn("sleeper", argv=["sleep", "600"], env={"PATH": os.defpath}, cwd=folder, log=folder / "log")


def gone(pid: int) -> bool:
    """Whether no process with that id runs (a zombie does not)."""
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def test_a_program_runs_and_is_stopped(supervisor: Supervisor, tmp_path: Path) -> None:
    """Its status is None while it runs, and the signal once it has ended."""
    process = sleeper(supervisor, tmp_path)
    assert process.status() is None
    process.stop(signal.SIGTERM)
    assert process.status() == -signal.SIGTERM


def test_a_process_that_ignores_its_stop_signal_is_killed(supervisor: Supervisor, tmp_path: Path) -> None:
    """With whatever it has started."""
    argv = ["sh", "-c", "trap '' TERM; sleep 600 & echo ready; wait"]
    process = supervisor.spawn("deaf", argv=argv, env={"PATH": os.defpath}, cwd=tmp_path, log=tmp_path / "log")
    wait_for(lambda: process.last_words() == "ready", what="it ignores SIGTERM", within_s=5)
    (child,) = psutil.Process(process.pid).children()
    process.stop(signal.SIGTERM, within_s=0.1)
    assert process.status() == -signal.SIGKILL
    wait_for(lambda: gone(child.pid), what="its child is gone", within_s=3)


def test_a_function_is_forked_with_its_own_environment(supervisor: Supervisor, tmp_path: Path) -> None:
    """It sees what it was given, and what it prints goes to its log."""
    process = supervisor.spawn(
        "printer", target="tests.support.functions:show", env={"WHO": "lab"}, cwd=tmp_path, log=tmp_path / "log"
    )
    wait_for(lambda: process.status() is not None, what="it has ended", within_s=5)
    assert process.status() == 0
    assert process.last_words() == f"lab ['printer'] {tmp_path}"


@pytest.mark.parametrize(("function", "status"), [("fail", 1), ("leave", 7), ("refuse", 1)])
def test_a_function_that_fails_has_an_exit_status_and_last_words(
    supervisor: Supervisor, tmp_path: Path, function: str, status: int
) -> None:
    """An exception, an exit code and a message all arrive."""
    target = f"tests.support.functions:{function}"
    process = supervisor.spawn("failing", target=target, env={}, cwd=tmp_path, log=tmp_path / "log")
    wait_for(lambda: process.status() is not None, what="it has ended", within_s=5)
    assert process.status() == status


def test_a_program_that_does_not_exist_is_named(supervisor: Supervisor, tmp_path: Path) -> None:
    """The error says which."""
    with pytest.raises(StackError, match="no-such-program"):
        supervisor.spawn("x", argv=["/no-such-program"], env={}, cwd=tmp_path, log=tmp_path / "log")


def test_processes_end_with_their_connection(supervisor: Supervisor, tmp_path: Path) -> None:
    """Who leaves takes his own processes with him, and nobody else's."""
    mine = sleeper(supervisor, tmp_path)
    with Supervisor(supervisor.path) as other:
        theirs = sleeper(other, tmp_path).pid
    wait_for(lambda: gone(theirs), what="the other's process is gone", within_s=3)
    assert mine.status() is None
    mine.stop()


def test_a_number_means_whoever_runs_now(supervisor: Supervisor, tmp_path: Path) -> None:
    """A process that was killed starts again as it was, under the same number."""
    process = sleeper(supervisor, tmp_path)
    before = process.pid
    assert supervisor.again(process.number) == before, "one that runs is left alone"
    supervisor.kill(process.number)
    assert process.status() == -signal.SIGKILL
    after = supervisor.again(process.number)
    assert after != before
    assert (process.pid, process.status()) == (after, None)
    process.stop()


def test_stale_files_go_before_a_process_starts_again(supervisor: Supervisor, tmp_path: Path) -> None:
    """Such as the lock file of a server that was killed."""
    stale = tmp_path / "server.pid"
    process = supervisor.spawn(
        "x", argv=["touch", str(stale)], env={"PATH": os.defpath}, cwd=tmp_path, log=tmp_path / "log", stale=[stale]
    )
    wait_for(lambda: process.status() is not None, what="it has ended", within_s=5)
    first = stale.stat().st_ino, stale.stat().st_mtime_ns
    supervisor.again(process.number)
    wait_for(lambda: process.status() is not None and stale.exists(), what="it has run again", within_s=5)
    assert (stale.stat().st_ino, stale.stat().st_mtime_ns) != first


def test_who_knows_the_number_can_act_and_the_process_stays_with_its_first_client(
    supervisor: Supervisor, tmp_path: Path
) -> None:
    """As the guard does for a runner that hangs; nothing but the number is handed on."""
    process = sleeper(supervisor, tmp_path)
    with Supervisor(supervisor.path) as guard:
        guard.pause(process.number)
        assert process.look().paused
        guard.resume(process.number)
        guard.kill(process.number)
        guard.again(process.number)
    assert process.status() is None
    process.stop()
    with pytest.raises(StackError, match="no process has the number 0"):
        supervisor.look(0)


def test_a_status_is_not_lost_when_somebody_else_looks_first(supervisor: Supervisor, tmp_path: Path) -> None:
    """Whoever reaps a process, its own client learns how it ended."""
    with Supervisor(supervisor.path) as other:
        theirs, mine = sleeper(other, tmp_path), sleeper(supervisor, tmp_path)
        os.kill(mine.pid, signal.SIGTERM)
        wait_for(lambda: (theirs.status(), mine.status())[1] is not None, what="it has ended", within_s=5)
        assert mine.status() == -signal.SIGTERM


@pytest.mark.parametrize(
    "line", [b"", b"{", b"[]", b"{}", b'{"do": 1}', b'{"do": []}', b'{"do": "look"}', b"\xff", b"[" * 100_000]
)
def test_a_request_that_makes_no_sense_is_answered_with_an_error(
    supervisor: Supervisor, tmp_path: Path, line: bytes
) -> None:
    """The fork server and every process of it live on."""
    mine = sleeper(supervisor, tmp_path)
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(5)
        connection.connect(str(supervisor.path))
        connection.sendall(line + b"\n")
        assert "error" in json.loads(connection.recv(10_000))
    assert mine.status() is None
    mine.stop()


def test_the_folder_of_a_lab_is_known_by_its_name_and_owner(tmp_path: Path) -> None:
    """Wherever its runner's TMPDIR was, and whether or not it is still there."""
    ours = tmp_path / "chaos-lab-1-abc"
    assert run_folder.is_ours(ours)
    ours.mkdir()
    assert run_folder.is_ours(ours)
    assert not run_folder.is_ours(tmp_path / "dbus")
    assert not run_folder.is_ours(Path("/proc/1/chaos-lab-1-abc").parent)


def test_labs_that_start_at_once_do_not_trip_over_what_they_sweep(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each makes a folder of its own while the same leftovers go."""
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", None)
    runners = 4
    for number in range(2000):
        (tmp_path / f"chaos-lab-4194305-{number}").mkdir()
    program = "from chaos.processes import run_folder; print(run_folder.create())"
    started = [
        subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for _ in range(runners)
    ]
    said = [process.communicate(timeout=30) for process in started]
    assert [process.returncode for process in started] == [0] * runners, said
    assert not [*tmp_path.glob("chaos-lab-4194305-*")]


RUNNER = """
    import os, sys, signal
    from pathlib import Path
    from chaos.processes.supervisor import Supervisor
    supervisor = Supervisor.start(Path(sys.argv[1]))
    process = supervisor.spawn("sleeper", argv=["sh", "-c", "sleep 600 & wait"], env={"PATH": os.defpath},
                               cwd=Path("/"), log=Path(os.devnull))
    print(process.pid, supervisor._owner.pid, supervisor.folder, flush=True)
    sys.stdin.read()
"""


@pytest.mark.parametrize("victim", ["runner", "fork server"])
def test_nothing_survives_a_sigkill(victim: str) -> None:
    """Whichever of the two is killed, the process and the folder are gone soon after."""
    runner = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(RUNNER), str(ROOT)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    )
    assert runner.stdout
    assert runner.stdin
    process, server, folder = runner.stdout.readline().split()
    os.kill(runner.pid if victim == "runner" else int(server), signal.SIGKILL)
    wait_for(lambda: gone(int(process)), what="the process is gone", within_s=3)
    runner.stdin.close()
    runner.stdout.close()
    runner.wait(timeout=5)
    wait_for(lambda: gone(int(server)), what="the fork server is gone", within_s=3)
    if victim == "runner":
        wait_for(lambda: not Path(folder).exists(), what="its folder is gone", within_s=3)
    else:
        Path(run_folder.create()).rmdir()
        assert not Path(folder).exists(), "the next lab sweeps what a killed fork server left"
