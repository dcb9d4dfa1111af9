"""The lab's driver under load: ``lab_load.py URL RATE SECONDS``, with RATE 0 as fast as it goes.

Prints one JSON object: requests, CPU seconds from the end of the warm-up on, and how late requests left.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from itertools import repeat
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from chaos.clock import NS_PER_MS, NS_PER_S, now_ns, sleep_until
from chaos.history import History, Outcome, Recorder
from chaos.workload.driver import Driver
from chaos.workload.request import ClosedLoop, OpenLoop, Request

WARM_UP_S = 1.0
USERS = 20


def main(url: str, rate: float, seconds: float) -> dict[str, Any]:
    """Drive and count; the recorder writes every line, as in an experiment, and the sampler runs."""
    plan = lambda _: repeat(Request(operation="read", path="/x", key="x", headers={"Authorization": "Bearer t"}))  # noqa: E731
    workload = OpenLoop(plan=plan, rate=rate) if rate else ClosedLoop(plan=plan, users=USERS)
    lab: Any = SimpleNamespace(
        url=url,
        config=SimpleNamespace(settings=SimpleNamespace(services={})),
        edges=lambda: (),
        toxiproxy=SimpleNamespace(transport=SimpleNamespace(url=url)),
    )
    with tempfile.TemporaryDirectory() as folder, Recorder(Path(folder), "bench") as recorder:
        driver = Driver(lab, [workload], recorder)
        driver.start()
        sleep_until(now_ns() + round(WARM_UP_S * NS_PER_S))
        from_ns, cpu_s = now_ns(), time.process_time()
        sleep_until(from_ns + round(seconds * NS_PER_S))
        until_ns, cpu_s = now_ns(), time.process_time() - cpu_s
        driver.stop()
        operations = History.load(Path(folder)).operations
    measured = [o for o in operations if from_ns <= o.intended_ns < until_ns]
    late_ms = sorted((o.start_ns - o.intended_ns) / NS_PER_MS for o in measured)
    sent = sum(from_ns <= o.start_ns < until_ns for o in operations)
    return {
        "requests": sent,
        "failed": sum(o.outcome is not Outcome.OK for o in measured),
        "per_cpu_s": sent / cpu_s,
        "per_s": sent / ((until_ns - from_ns) / NS_PER_S),
        "late_p50_ms": late_ms[len(late_ms) // 2],
        "late_p99_ms": late_ms[-(-len(late_ms) * 99 // 100) - 1],
        "late_max_ms": late_ms[-1],
    }


if __name__ == "__main__":
    print(json.dumps(main(sys.argv[1], float(sys.argv[2]), float(sys.argv[3]))))  # noqa: T201  (bench reads it)
