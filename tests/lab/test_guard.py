"""Faults heal, whoever dies: the runner, its guard, Toxiproxy, or all of them."""

import json
import os
import random
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from bench import guard as bench
from bench._rig import Rig, guard_of, rig
from chaos import Kill, config, inject
from chaos.clock import now_ns, seconds, wait_for
from chaos.config import Address
from chaos.errors import LabError
from chaos.guard import log, watch
from chaos.guard.record import GuardedRecord
from chaos.guard.undo import Enable
from chaos.guard.watch import Guard
from chaos.lab import attached, embedded
from chaos.probes import Answer, probe
from chaos.processes.supervisor import Supervisor
from tests.support import project
from tests.support.runners import Late

ROOT = Path(__file__).parent.parent.parent

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def shared() -> Iterator[Rig]:
    """A Toxiproxy with three edges, for runners to die on."""
    with rig() as one:
        yield one


@pytest.fixture
def one(shared: Rig) -> Iterator[Rig]:
    """The same, whole before each test, with nothing left over after it."""
    yield shared
    (shared.root / "HALT").unlink(missing_ok=True)
    for path in shared.logs():
        path.unlink()
    shared.server.reset()


@pytest.fixture
def chance(request: pytest.FixtureRequest) -> random.Random:
    """Each test's own, the same each time."""
    return random.Random(request.node.name)


def healed(one: Rig) -> bool:
    """Whether nothing is owed and everything works."""
    return not one.logs() and one.is_clean()


def lab(one: Rig, *arguments: str) -> tuple[int, str, str]:
    """Run ``chaos-lab`` to its end: exit code, standard output, standard error."""
    command = one.command(*arguments)
    out, err = command.communicate(timeout=60)
    return command.returncode, out, err


def held(one: Rig, *, lease_s: float, at_most_s: float) -> int:
    """A runner that holds an edge down; returns its process id once it does."""
    runner = one.spawn("tests.support.runners:hold", LEASE_S=str(lease_s), AT_MOST_S=str(at_most_s))
    wait_for(lambda: not one.server.get_proxy("one.http").enabled, what="the edge is down", within_s=20)
    return runner.pid


def test_nothing_is_left_over_when_a_runner_is_killed(one: Rig, chance: random.Random) -> None:
    """With SIGKILL, at random moments, during random faults; ``make bench`` does it a hundred times."""
    seconds = [bench.kill_runner(one, chance)[0] for _ in range(5)]
    assert max(seconds) <= 2.0, seconds


def test_a_change_that_is_made_after_the_guard_has_healed_is_taken_back(one: Rig) -> None:
    """As behind a Toxiproxy that answers late: the runner learns it, and its fault has failed."""
    with attached(config.load(one.root)) as lab:
        with pytest.raises(
            LabError, match=r"the guard has taken 1 fault\(s\) back: it had been there for its maximum duration"
        ):
            inject(Late(after_s=1.6), lab, "one.http", at_most_s=0.3)
        assert one.is_clean()
    assert healed(one)


def test_a_runner_that_dies_after_such_a_change_leaves_nothing(one: Rig) -> None:
    """Its guard has healed once already, and does so again."""
    runner = one.spawn("tests.support.runners:die_late")
    wait_for(lambda: runner.status() is not None, what="the runner is dead", within_s=20)
    wait_for(lambda: healed(one), what="its guard has healed", within_s=5)


def test_the_next_command_heals_when_the_guard_was_killed_too(one: Rig, chance: random.Random) -> None:
    """Whichever command it is, and it says so."""
    assert all(bench.kill_both(one, chance) for _ in range(2))


def test_two_commands_at_once_do_not_fight(one: Rig, chance: random.Random) -> None:
    """Both end well, and what was left is healed once."""
    owed = bench.abandoned(one, chance)
    commands = [one.command("heal") for _ in range(2)]
    said = [command.communicate(timeout=60)[1] for command in commands]
    assert [command.returncode for command in commands] == [0, 0], said
    assert healed(one)
    assert sum("left behind" in text for text in said) == bool(owed)


@pytest.mark.parametrize("number", [signal.SIGSTOP, signal.SIGKILL])
def test_what_cannot_be_healed_is_said_with_the_commands_that_do_it(
    chance: random.Random, number: signal.Signals
) -> None:
    """Toxiproxy is frozen or dead: exit code 4; once it is well again the next command heals."""
    with rig() as own:
        owed = bench.abandoned(own, chance)
        os.kill(own.process.pid, number)
        code, _, err = lab(own, "status")
        assert (code, bool(owed)) == (4, True)
        assert all(line in err for line in own.owed()), err
        if number is signal.SIGSTOP:
            os.kill(own.process.pid, signal.SIGCONT)
        else:
            own.replace()
        assert lab(own, "heal")[0] == 0
        assert healed(own)


def test_a_runner_that_shows_no_sign_of_life_is_overtaken(one: Rig) -> None:
    """Its lease ends; when it goes on it learns that nothing is owed any more."""
    pid = held(one, lease_s=1, at_most_s=60)
    os.kill(pid, signal.SIGSTOP)
    wait_for(one.is_clean, what="the guard has healed", within_s=10)
    os.kill(pid, signal.SIGCONT)
    answer = one.root / "answer"
    wait_for(lambda: answer.exists() and answer.read_text(), what="the runner says what it owes", within_s=10)
    assert answer.read_text() == "False"
    answer.unlink()
    os.kill(pid, signal.SIGKILL)
    wait_for(lambda: healed(one), what="the guard has ended", within_s=5)


def test_the_maximum_duration_holds_while_the_runner_hangs(one: Rig) -> None:
    """Its lease is far from over."""
    pid = held(one, lease_s=60, at_most_s=1)
    os.kill(pid, signal.SIGSTOP)
    wait_for(one.is_clean, what="the guard has healed", within_s=10)
    os.kill(pid, signal.SIGKILL)
    wait_for(lambda: healed(one), what="the guard has ended", within_s=5)


def test_a_guard_that_dies_is_replaced(one: Rig) -> None:
    """The new one knows what is owed."""
    pid = held(one, lease_s=60, at_most_s=60)
    first = guard_of(pid)
    first.kill()
    wait_for(lambda: guard_of(pid).pid != first.pid, what="there is another guard", within_s=10)
    os.kill(pid, signal.SIGKILL)
    wait_for(lambda: healed(one), what="it has healed", within_s=10)


def test_the_maximum_duration_does_not_begin_anew_with_another_guard(one: Rig) -> None:
    """It counts from when the fault was entered."""
    pid = held(one, lease_s=60, at_most_s=3)
    began_ns = now_ns()
    wait_for(lambda: seconds(now_ns() - began_ns) > 1.8, what="most of it is over", within_s=5)
    guard_of(pid).kill()
    wait_for(one.is_clean, what="the other guard has healed", within_s=10)
    assert seconds(now_ns() - began_ns) < 4.2
    os.kill(pid, signal.SIGKILL)
    wait_for(lambda: healed(one), what="the guard has ended", within_s=5)


def test_a_guard_that_dies_while_it_takes_over_has_an_heir(one: Rig) -> None:
    """What was detached is healed in time all the same."""
    runner = one.spawn("tests.support.runners:detach_from_a_guard_that_dies")
    wait_for(lambda: runner.status() is not None, what="the runner has ended", within_s=20)
    assert runner.status() == 0, runner.last_words()
    assert not one.is_clean()
    wait_for(lambda: healed(one), what="the heir has healed", within_s=5)


def test_a_guard_that_is_frozen_is_replaced(one: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody waits for it for ever, and the next fault has a guard again."""
    monkeypatch.setattr(watch, "ANSWER_WITHIN_S", 1.0)
    settings = config.load(one.root)
    lab = log.Lab(runner=log.Runner.this(), edges=())
    guard = Guard(one.root)
    record = GuardedRecord(settings, lab, guard)
    undo = Enable(toxiproxy=one.server.url, proxy="one.http")
    record.enter(1, undo, 60)
    os.kill(guard.pid, signal.SIGSTOP)
    with pytest.raises(LabError, match=r"the guard \(pid \d+\) did not answer within 1 s, so no fault is made"):
        record.enter(2, undo, 60)
    monkeypatch.setattr(watch, "ANSWER_WITHIN_S", 15.0)
    record.enter(3, undo, 60)
    os.kill(guard.pid, signal.SIGSTOP)
    frozen = guard.pid
    wait_for(
        lambda: (record.strike(1, "undone"), guard.pid != frozen)[1], what="it is replaced", within_s=10, every_s=0
    )
    for number in (2, 3):
        record.strike(number, "undone")
    record.close()
    guard.close()
    assert healed(one)


def test_a_paused_process_goes_on_while_the_runner_hangs(tiny: Path) -> None:
    """The guard reaches it through the fork server."""
    runner = subprocess.Popen(
        [sys.executable, "-m", "tests.support.runners", str(tiny)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        address = Address("127.0.0.1", int(runner.stdout.readline()))
        assert probe(address, "redis").answer is Answer.SILENT
        runner.send_signal(signal.SIGSTOP)
        wait_for(lambda: probe(address, "redis").answer is Answer.ANSWERED, what="Redis goes on", within_s=10)
    finally:
        runner.kill()
        runner.communicate(timeout=10)


def test_the_guard_waits_until_a_process_that_it_starts_does_its_work(tiny: Path, supervisor: Supervisor) -> None:
    """Also for one that no edge leads to: its own doors are asked."""
    (tiny / "pyproject.toml").write_text(project.PYPROJECT.replace("env = {", 'env = {TINY_SLOW_S = "0.7", '))
    with embedded(config.load(tiny), supervisor) as lab:
        effect = inject(Kill(), lab, "web", at_most_s=0.5)
        wait_for(lambda: not effect.owed(), what="the guard has healed", within_s=10)
        assert [probe(*door).answer for door in lab.doors("web").items()] == [Answer.ANSWERED]


def test_halt_heals_what_runs_and_refuses_what_comes(one: Rig) -> None:
    """Also what a runner holds that lives and never asks, and a command that waits; until it is lifted."""
    pid = held(one, lease_s=60, at_most_s=60)
    waiting = one.command("inject", "two.http", "down", "--for", "1h")
    wait_for(lambda: not one.server.get_proxy("two.http").enabled, what="it is down too", within_s=20)
    code, out, _ = lab(one, "halt", "--json")
    assert (code, json.loads(out)["healed"]) == (0, 2)
    assert one.is_clean()
    assert log.Runner.of(pid).lives()
    err = waiting.communicate(timeout=20)[1]
    assert waiting.returncode == 2, err
    assert "'chaos-lab halt --lift' removes it" in err
    os.kill(pid, signal.SIGKILL)
    code, _, err = lab(one, "inject", "one.http", "down", "--for", "1h", "--detach")
    assert code == 2
    assert "'chaos-lab halt --lift' removes it" in err
    assert one.is_clean(), "nothing was injected"
    assert lab(one, "halt", "--lift")[0] == 0
    assert lab(one, "inject", "one.http", "down", "--for", "50ms")[0] == 0
    wait_for(lambda: healed(one), what="nothing is left", within_s=5)


def test_halt_heals_what_it_can_beside_a_damaged_log(one: Rig, chance: random.Random) -> None:
    """It says so last, with exit code 4."""
    bench.abandoned(one, chance)
    (damaged := one.root / ".chaos-lab" / "undo" / "4194305-1-1.jsonl").write_text("nonsense\n")
    code, _, err = lab(one, "halt")
    assert code == 4
    assert err.count("4194305-1-1.jsonl, line 1") == 1, err
    assert one.logs() == [damaged]
    assert one.is_clean()


def test_a_halt_file_ends_a_run(tiny: Path) -> None:
    """The experiments are not judged, those that wait neither: exit code 2, and the error says how to lift it."""
    slow = project.SCENARIOS.replace("duration_s=0.6", "duration_s=60")
    (tiny / "scenarios" / "redis_cache.py").write_text(slow)
    run = subprocess.Popen(
        [sys.executable, "-m", "chaos", "run", "T-1", "T-2", "--workers", "1"],
        cwd=tiny,
        env=os.environ | {"PYTHONPATH": str(ROOT), "NO_COLOR": "1", "COLUMNS": "200"},
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        wait_for(lambda: [*tiny.glob(".chaos-lab/undo/*.jsonl")], what="a fault is injected", within_s=30)
        (tiny / "HALT").touch()
        err = run.communicate(timeout=15)[1]
    finally:
        run.kill()
        run.wait(timeout=10)
    assert run.returncode == 2
    assert "'chaos-lab halt --lift' removes it" in err
    assert not [*tiny.glob(".chaos-lab/undo/*.jsonl")]


def test_a_damaged_log_stops_every_command_until_it_is_put_aside(one: Rig) -> None:
    """With its file and line; ``heal --all`` resets every edge and puts it aside."""
    folder = one.root / ".chaos-lab" / "undo"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "4194305-1-1.jsonl").write_text("nonsense\n")
    one.server.get_proxy("two.http").disable()
    code, _, err = lab(one, "edges")
    assert code == 4
    assert "4194305-1-1.jsonl, line 1" in err
    code, out, err = lab(one, "heal", "--all", "--json")
    assert code == 0, err
    assert json.loads(out) == {"healed": 0, "reset": 1, "aside": [str(folder / "4194305-1-1.damaged")]}
    assert healed(one)
