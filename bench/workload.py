"""How exactly the driver keeps a schedule of 2,000 requests a second, and what a request costs it.

Against a server of eleven bytes, on loopback. Beside it Locust's FastHttpUser does the same, in the
same run and in alternating order, once at the same rate and once as fast as each can. The driver
writes its history and samples meanwhile. Locust lives in an environment of its own that this makes
in the user's cache, so that nobody else has to install it.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bench._targets import at_least, at_most
from chaos.stacks import cache

ROOT = Path(__file__).parent.parent
BESIDE = ROOT / "bench" / "beside"
LOCUST = "locust==2.47.0"
RATE, SECONDS, ROUNDS = 2000, 4, 5
PACED_USERS, BUSY_USERS = 100, 20
TARGETS = (
    at_most(2, "send_error_p99_ms", "median"),
    at_least(0.995, "achieved_share", "median"),
    at_least(1.5, "as_fast_as_it_goes", "ratio", "median"),
)


def measure() -> dict[str, Any]:
    """Milliseconds, shares and requests per CPU second, as medians with their spread."""
    locust = _locust()
    paced: dict[str, list[dict[str, Any]]] = {"lab": [], "locust": []}
    busy: dict[str, list[dict[str, Any]]] = {"lab": [], "locust": []}
    with _server() as url:
        for number in range(ROUNDS):
            for found, rate, users in ((paced, RATE, PACED_USERS), (busy, 0, BUSY_USERS)):
                runs: dict[str, Callable[[], dict[str, Any]]] = {
                    "lab": lambda rate=rate: _lab(url, rate),
                    "locust": lambda rate=rate, users=users: _beside(locust, url, rate, users),
                }
                for name in sorted(runs, reverse=bool(number % 2)):
                    found[name].append(runs[name]())
    return {
        "rate_per_s": RATE,
        "achieved_share": _spread([run["per_s"] / RATE for run in paced["lab"]], 4),
        "send_error_p50_ms": _spread([run["late_p50_ms"] for run in paced["lab"]]),
        "send_error_p99_ms": _spread([run["late_p99_ms"] for run in paced["lab"]]),
        "send_error_max_ms": _spread([run["late_max_ms"] for run in paced["lab"]]),
        "failed": sum(run["failed"] for found in (paced, busy) for runs in found.values() for run in runs),
        "at_2000_per_s": _compared(paced),
        "as_fast_as_it_goes": _compared(busy),
        "locust": LOCUST,
    }


def _compared(found: dict[str, list[dict[str, Any]]]) -> dict[str, Any]:
    """Requests per CPU second of both, and how many times more the lab's driver makes."""
    costs = {name: [run["per_cpu_s"] for run in runs] for name, runs in found.items()}
    ratios = [ours / theirs for ours, theirs in zip(costs["lab"], costs["locust"], strict=True)]
    per_cpu_s = {f"{name}_per_cpu_s": _spread(values, 0) for name, values in costs.items()}
    return per_cpu_s | {"ratio": _spread(ratios, 2)}


def _spread(values: list[float], digits: int = 2) -> dict[str, float]:
    figures = {"median": statistics.median(values), "min": min(values), "max": max(values)}
    return {name: round(value, digits) for name, value in figures.items()} | {"n": len(values)}


@contextmanager
def _server() -> Iterator[str]:
    server = subprocess.Popen([sys.executable, BESIDE / "server.py"], stdout=subprocess.PIPE, text=True)  # noqa: S603  (our own)
    try:
        assert server.stdout  # noqa: S101  (it was asked for)
        yield f"http://127.0.0.1:{int(server.stdout.readline())}"
    finally:
        server.kill()
        server.wait()


def _lab(url: str, rate: float) -> dict[str, Any]:
    return _figures([sys.executable, "-m", "bench.beside.lab_load", url, str(rate), str(SECONDS)], {})


def _beside(locust: Path, url: str, rate: float, users: int) -> dict[str, Any]:
    argv = [str(locust), "-f", str(BESIDE / "locust_load.py"), "--headless", "--host", url, "-u", str(users)]
    variables = {"RATE": str(rate), "SECONDS": str(SECONDS), "LOCUST_USERS": str(users)}
    return _figures([*argv, "-r", str(users), "--loglevel", "ERROR", "--only-summary"], variables)


def _figures(argv: list[str], variables: dict[str, str]) -> dict[str, Any]:
    """The JSON object among what a program prints."""
    variables = os.environ | variables
    ran = subprocess.run(  # noqa: S603  (our own)
        argv, env=variables, capture_output=True, text=True, timeout=120, check=False, cwd=ROOT
    )
    for line in ran.stdout.splitlines():
        if line.startswith("{"):
            return dict(json.loads(line))
    sys.exit(f"bench: {argv[0]} printed no figures:\n{ran.stdout}\n{ran.stderr}")


def _locust() -> Path:
    """Locust's program, installed at the first use."""
    folder = cache.folder() / "bench" / LOCUST.replace("==", "-")
    program = folder / "bin" / "locust"
    if not program.exists():
        subprocess.run([sys.executable, "-m", "venv", "--clear", folder], check=True)  # noqa: S603
        subprocess.run([folder / "bin" / "pip", "--quiet", "install", LOCUST], check=True)  # noqa: S603
    return program
