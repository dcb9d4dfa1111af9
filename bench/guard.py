"""What is left over, and for how long, when a runner dies: alone, with its guard, or while Toxiproxy hangs.

Runners inject and heal at random, every kind of fault, on a Toxiproxy and a service that outlive
them, and are killed with SIGKILL at random moments. Healed means: no toxic, every proxy listens,
every edge answers on the wire, and the undo log is gone.

Toxiproxy is frozen or killed *while* somebody heals: whoever does holds a lock on the undo log, and
the kernel says so before and after the signal is sent.
"""

from __future__ import annotations

import os
import random
import signal
import statistics
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

from bench._rig import Rig, guard_of, kill, rig
from bench._targets import at_least, at_most, one_of
from chaos import Down, config, inject
from chaos.clock import wait_for
from chaos.lab import attached
from chaos.processes.supervisor import Process

SEED = 20260101
KILLS, KILLS_WITH_GUARD, TROUBLES, INJECTIONS = 100, 30, 10, 200
LIVES_S, GIVE_UP_S = 0.8, 10.0
Heal = Callable[[Rig, random.Random, signal.Signals], str]
TOO_LATE = "too late"
INTO_HEAL_S = 0.09
"""A heal takes at least 0.1 s, because it looks again for what its runner may have sent last."""
TARGETS = (
    at_least(100, "kills"),
    one_of([0], "left_over"),
    at_most(2.0, "worst_healed_s"),
    one_of([0], "guard_killed_too", "left_over"),
    *(
        one_of([0], trouble, figure)
        for trouble in (
            "toxiproxy_frozen",
            "toxiproxy_killed",
            "toxiproxy_frozen_under_guard",
            "toxiproxy_killed_under_guard",
        )
        for figure in ("neither", "left_over_afterwards")
    ),
)


def measure() -> dict[str, Any]:
    """Counts and seconds."""
    chance = random.Random(SEED)  # noqa: S311  (nothing secret)
    with rig() as one:
        alone = [kill_runner(one, chance) for _ in range(KILLS)]
        both = [kill_both(one, chance) for _ in range(KILLS_WITH_GUARD)]
        cost = inject_ms(one)
    healed = [seconds for seconds, _ in alone]
    return {
        "kills": KILLS,
        "during_faults": sum(owed for _, owed in alone),
        "left_over": sum(seconds == float("inf") for seconds in healed),
        "worst_healed_s": round(max(healed), 3),
        "healed_s": _distribution(healed),
        "guard_killed_too": {"kills": KILLS_WITH_GUARD, "left_over": both.count(False)},
        "toxiproxy_frozen": trouble(TROUBLES, chance, signal.SIGSTOP, healed_by_command),
        "toxiproxy_killed": trouble(TROUBLES, chance, signal.SIGKILL, healed_by_command),
        "toxiproxy_frozen_under_guard": trouble(TROUBLES, chance, signal.SIGSTOP, healed_by_guard),
        "toxiproxy_killed_under_guard": trouble(TROUBLES, chance, signal.SIGKILL, healed_by_guard),
        "inject_ms": _distribution(cost),
    }


def kill_runner(one: Rig, chance: random.Random) -> tuple[float, bool]:
    """Seconds from a runner's SIGKILL until all is healed (infinite if it never is), and whether anything was owed."""
    kill(_runner(one, chance))
    killed = time.monotonic()
    owed = bool(one.owed())
    try:
        wait_for(lambda: not one.logs() and one.is_clean(), what="all is healed", within_s=GIVE_UP_S)
    except Exception:  # noqa: BLE001  (whatever it is, it is not healed)
        return float("inf"), owed
    return time.monotonic() - killed, owed


def kill_both(one: Rig, chance: random.Random) -> bool:
    """Kill a runner and its guard, and return whether the next command leaves nothing behind."""
    owed = abandoned(one, chance)
    command = one.command("edges")
    said = command.communicate(timeout=60)[1]
    announced = "left behind" in said if owed else True
    return command.returncode == 0 and announced and not one.logs() and one.is_clean()


def trouble(times: int, chance: random.Random, number: signal.Signals, heal: Heal) -> dict[str, int]:
    """Send *number* to Toxiproxies in the middle of *heal*; count how that ends.

    What cannot be healed must end with exit code 4 and the commands that do it by hand; once
    Toxiproxy is well again, the next command heals.
    """
    ends = {"times": times, "healed": 0, "exit_4_with_commands": 0, "neither": 0, "left_over_afterwards": 0}
    seeds = [chance.getrandbits(32) for _ in range(times)]
    with ExitStack() as stack, ThreadPoolExecutor(times // 2) as pool:
        rigs = [stack.enter_context(rig()) for _ in range(times // 2)]
        for some in (seeds[: len(rigs)], seeds[len(rigs) :]):
            for end, left in pool.map(lambda one, seed: _trouble(one, seed, number, heal), rigs, some):
                ends[end] += 1
                ends["left_over_afterwards"] += left
    return ends


def _trouble(one: Rig, seed: int, number: signal.Signals, heal: Heal) -> tuple[str, bool]:
    """How a heal ends that the signal met in its middle, and whether something is left over afterwards."""
    chance, left = random.Random(seed), False  # noqa: S311  (nothing secret)
    while True:
        end = heal(one, chance, number)
        left |= _mend(one, number)
        if end != TOO_LATE:
            return end, left


def healed_by_command(one: Rig, chance: random.Random, number: signal.Signals) -> str:
    """Trouble for the command that finds a runner and its guard dead."""
    while not abandoned(one, chance):
        one.command("heal").communicate(timeout=60)
    command = one.command("heal")
    in_time = _strike(one, chance, number)
    said = command.communicate(timeout=90)[1]
    return _end(one, said, in_time=in_time, healed=command.returncode == 0, gave_up=command.returncode == 4)  # noqa: PLR2004


def healed_by_guard(one: Rig, chance: random.Random, number: signal.Signals) -> str:
    """Trouble for the guard whose runner is dead; it speaks in its journal."""
    runner = _runner(one, chance)
    wait_for(one.owed, what="something is owed", within_s=10, every_s=0.001)
    guard = guard_of(runner.pid)
    os.kill(runner.pid, signal.SIGKILL)
    in_time = _strike(one, chance, number)
    guard.wait(timeout=90)
    said = (one.root / ".chaos-lab" / "guard.log").read_text(encoding="utf-8")
    return _end(one, said, in_time=in_time, healed=not one.logs(), gave_up=True)


def _strike(one: Rig, chance: random.Random, number: signal.Signals) -> bool:
    """Send *number* to Toxiproxy at a random moment of the heal that begins next; whether it went on then."""
    wait_for(lambda: _is_healing(one), what="somebody heals", within_s=20, every_s=0.0002)
    time.sleep(chance.random() * INTO_HEAL_S)
    os.kill(one.process.pid, number)
    return _is_healing(one)


def _is_healing(one: Rig) -> bool:
    """Whether somebody holds a lock on an undo log."""
    inodes = set()
    for path in one.logs():
        with suppress(FileNotFoundError):  # healed and removed just now
            inodes.add(path.stat().st_ino)
    held = [line.split() for line in Path("/proc/locks").read_text(encoding="ascii").splitlines()]
    return any(fields[1] == "FLOCK" and int(fields[5].rpartition(":")[2]) in inodes for fields in held)


def _end(one: Rig, said: str, *, in_time: bool, healed: bool, gave_up: bool) -> str:
    if not in_time:
        return TOO_LATE
    if healed:
        return "healed"
    left = one.owed()
    return "exit_4_with_commands" if gave_up and left and all(command in said for command in left) else "neither"


def _mend(one: Rig, number: signal.Signals) -> bool:
    """Make its Toxiproxy well again; returns whether the next command leaves something behind."""
    if number is signal.SIGSTOP:
        os.kill(one.process.pid, signal.SIGCONT)
    else:
        one.replace()
    command = one.command("heal")
    command.communicate(timeout=90)
    return command.returncode != 0 or bool(one.logs()) or not one.is_clean()


def abandoned(one: Rig, chance: random.Random) -> list[str]:
    """Leave faults behind with nobody alive; returns the commands that undo them by hand."""
    runner = _runner(one, chance)
    guard = guard_of(runner.pid)
    os.kill(runner.pid, signal.SIGSTOP)  # in the middle of something, and it starts no other guard
    guard.kill()
    kill(runner)
    return one.owed()


def inject_ms(one: Rig) -> list[float]:
    """Milliseconds from the call to in effect, guard and undo log included."""
    took = []
    with attached(config.load(one.root)) as lab:
        for _ in range(INJECTIONS):
            began = time.perf_counter()
            effect = inject(Down(), lab, "one.http")
            took.append((time.perf_counter() - began) * 1000)
            effect.heal()
    return took[1:]  # the first waits for the guard to start


def _runner(one: Rig, chance: random.Random) -> Process:
    """Start a runner, and return at a random moment of its life after its first undo was entered."""
    runner = one.runner(chance.getrandbits(32))
    pid = runner.pid
    wait_for(lambda: one.injects(pid), what="the runner injects", within_s=20)
    time.sleep(chance.random() * LIVES_S)
    return runner


def _distribution(values: Sequence[float]) -> dict[str, float]:
    ranked = sorted(values)
    p95 = ranked[max(0, -(-len(ranked) * 95 // 100) - 1)]
    return {
        "p50": round(statistics.median(ranked), 3),
        "p95": round(p95, 3),
        "max": round(ranked[-1], 3),
        "n": len(ranked),
    }
