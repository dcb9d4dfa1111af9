"""How long a fresh lab takes until every service is healthy, the Postgres template being there.

``ready_s`` is a lab on a fork server that runs already, as every experiment after a worker's first
gets it. ``cold_s`` counts from nothing: starting the fork server and importing the services too.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bench._targets import at_least, at_most
from chaos import config
from chaos.config import Config
from chaos.lab import embedded
from chaos.processes.supervisor import Supervisor

ROOT = Path(__file__).parent.parent
WARM, COLD = 20, 10
TARGETS = (at_most(1.5, "ready_s", "p50"), at_least(10, "ready_s", "n"))


def measure() -> dict[str, Any]:
    """Distributions in seconds, with n."""
    loaded = config.load(ROOT)
    with Supervisor.start(ROOT) as supervisor:
        _ready_s(loaded, supervisor)  # makes the template and Toxiproxy, if they are missing
        warm = [_ready_s(loaded, supervisor) for _ in range(WARM)]
    cold = [_cold_s(loaded) for _ in range(COLD)]
    return {"ready_s": _distribution(warm), "cold_s": _distribution(cold)}


def _ready_s(loaded: Config, supervisor: Supervisor) -> float:
    start = time.monotonic()
    with embedded(loaded, supervisor):
        return time.monotonic() - start


def _cold_s(loaded: Config) -> float:
    start = time.monotonic()
    with Supervisor.start(ROOT) as supervisor:
        _ready_s(loaded, supervisor)
        return time.monotonic() - start


def _distribution(values: Sequence[float]) -> dict[str, float]:
    ranked = sorted(values)
    p95 = ranked[max(0, -(-len(ranked) * 95 // 100) - 1)]
    return {"p50": round(statistics.median(ranked), 3), "p95": round(p95, 3), "n": len(ranked)}
