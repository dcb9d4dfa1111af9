"""How long faults take from the call to being in effect, and from the call to being healed.

Against a real Toxiproxy in front of a real Valkey, with the undo log and the guard as in every run:
in effect means that the change is written down, made and read back. Whoever takes out a toxic that
may hold data must let it settle for 50 ms, or Toxiproxy's control plane can hang (``slow_way``).

Of the faults that vary in time it is their first stage that comes into effect. Healing a process
waits until it does its work again. ``x1`` is the situation of the slow way: 200 kB under way, and
the client gone.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from signal import SIGKILL
from typing import Any, Final

from bench._targets import EACH, at_least, at_most, one_of
from chaos import (
    Bandwidth,
    Blackhole,
    Down,
    Freeze,
    HalfOpen,
    Kill,
    Latency,
    LimitData,
    Pause,
    ResetPeer,
    Restart,
    Slicer,
    SlowClose,
    config,
    flapping,
    in_turn,
    inject,
    ramp,
    rearmed,
    together,
)
from chaos.faults.fault import Fault
from chaos.lab import Lab, embedded
from chaos.processes.supervisor import Supervisor
from tests.support import busy, project

ROOT = Path(__file__).parent.parent
EDGE = "web.redis"
PROCESSES: Final = ("redis", "web")
TIMES, BITES, X1_TIMES = 200, 3, 50
LONG_MS: Final = 60_000

QUICK: Final[Sequence[Fault]] = (
    Blackhole(),
    Down(),
    HalfOpen(),
    LimitData(bytes=40),
    ResetPeer(),
    SlowClose(delay_ms=30),
)
SLOW_WAY: Final[Sequence[Fault]] = (
    Bandwidth(rate_kbps=16),
    Freeze(),
    Latency(delay_ms=30),
    Slicer(average_bytes=8, delay_us=100),
)
MADE_OF_QUICK: Final[Sequence[Fault]] = (
    flapping(Down(), on_ms=LONG_MS, off_ms=LONG_MS),
    in_turn(Down(), each_s=LONG_MS / 1000),
    ramp([Down()], every_s=LONG_MS / 1000),
    rearmed(ResetPeer()),
)
MADE_OF_SLOW: Final[Sequence[Fault]] = (together(Latency(delay_ms=30), SlowClose(delay_ms=30)),)
ON_PROCESSES: Final[Sequence[Fault]] = (Kill(), Pause(), Restart(), Restart(signal=SIGKILL))
TARGETS = (
    at_most(5, "edges", EACH, "in_effect_ms", "p50"),
    *(at_most(10, "edges", repr(fault), "healed_ms", "p50") for fault in (*QUICK, *MADE_OF_QUICK)),
    *(at_most(100, "edges", repr(fault), "healed_ms", "p50") for fault in (*SLOW_WAY, *MADE_OF_SLOW)),
    at_least(200, "edges", EACH, "healed_ms", "n"),
    at_least(200, "processes", EACH, "healed_ms", "n"),
    one_of([f"{BITES} of {BITES}"], "processes", EACH, "bit"),
    one_of([f"{X1_TIMES} of {X1_TIMES}"], "x1", "healed_within_1_s"),
)


def measure() -> dict[str, Any]:
    """Milliseconds, with n; how many of the measured bites were there; the X1 situation."""
    with tempfile.TemporaryDirectory() as scratch, Supervisor.start(ROOT) as supervisor:
        loaded = config.load(project.make(Path(scratch) / "project"))
        with embedded(loaded, supervisor) as lab:
            return {
                "edges": {
                    repr(fault): _times(fault, lab, EDGE, TIMES) | {"slow_way": fault in (*SLOW_WAY, *MADE_OF_SLOW)}
                    for fault in (*QUICK, *SLOW_WAY, *MADE_OF_QUICK, *MADE_OF_SLOW)
                },
                "processes": {
                    f"{fault!r} on {name}": _times(fault, lab, name, TIMES)
                    for name in PROCESSES
                    for fault in ON_PROCESSES
                },
                "x1": _x1(lab),
            }


def _times(fault: Fault, lab: Lab, on: str, times: int) -> dict[str, Any]:
    in_effect, healed, bites = [], [], []
    for number in range(times):
        start = time.perf_counter()
        effect = inject(fault, lab, on)
        in_effect.append(time.perf_counter() - start)
        if number < BITES:
            bites += effect.bite()
        start = time.perf_counter()
        effect.heal()
        healed.append(time.perf_counter() - start)
        bites += effect.bite_later()
    bit = f"{sum(bite.held for bite in bites)} of {len(bites)}"
    return {"in_effect_ms": _distribution(in_effect), "healed_ms": _distribution(healed), "bit": bit}


def _x1(lab: Lab) -> dict[str, Any]:
    server, took = busy.Server(busy.CHUNK), []
    for _ in range(X1_TIMES):
        proxy = lab.toxiproxy.create(str(server.address), "busy.server")
        proxy.add_toxic(type="latency", attributes={"latency": 3000})
        busy.leave_in_flight(proxy)
        start = time.perf_counter()
        proxy.heal()
        took.append(time.perf_counter() - start)
        proxy.destroy()
    server.close()
    return {"healed_ms": _distribution(took), "healed_within_1_s": f"{sum(t <= 1 for t in took)} of {len(took)}"}


def _distribution(values: Sequence[float]) -> dict[str, float]:
    ranked = sorted(values)
    p95 = ranked[max(0, -(-len(ranked) * 95 // 100) - 1)]
    figures = {"p50": statistics.median(ranked), "p95": p95, "worst": ranked[-1]}
    return {name: round(value * 1000, 2) for name, value in figures.items()} | {"n": len(ranked)}
