"""How quick the reference platform is, and what its safeguards cost.

Open loop, from outside, through the gateway and the lab's proxies: latencies at a gentle rate, the
highest rate that is held without an error, and CPU per request with and without the safeguards.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import statistics
import time
import uuid
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import psutil

from chaos import config
from chaos.lab import Lab, embedded
from chaos.processes.supervisor import Supervisor

ROOT = Path(__file__).parent.parent
WIDGETS, AUTH = "/api/v1/widgets", "/api/v1/auth"
CREDENTIALS = {"email": "bench@example.org", "password": "a long password"}
GENTLE, SECONDS = 30.0, 3.0
STEPS, STEP_S, PATIENCE_S = (60, 120, 180, 240, 320, 420), 1.5, 0.25
COST_RATE, COST_S = 80.0, 4.0
CALLS = (
    "breaker",
    "retry",
    "retry.budget",
    "bulkhead",
    "deadline",
    "deadline.propagate",
    "attempt_timeout",
    "pool.validate",
)
DOORS = ["ingress_limit", "queue_bound", "deadline_drop"]
NAIVE = ",".join(f"*.{name}" for name in (*CALLS, *DOORS))


@dataclass(kw_only=True)
class Client:
    """A user of the platform with some widgets of his own."""

    http: aiohttp.ClientSession
    headers: dict[str, str] = field(default_factory=dict)
    paths: list[str] = field(default_factory=list)
    turn: Iterator[int] = field(default_factory=itertools.count)

    async def call(self, method: str, path: str, body: object = None, **headers: str) -> Any:  # noqa: ANN401 - JSON
        """Make a request and return the answer's document; raises on any error."""
        async with self.http.request(method, path, json=body, headers=self.headers | headers) as answer:
            answer.raise_for_status()
            return await answer.json() if answer.status not in (204, 304) else None

    async def create(self) -> Any:  # noqa: ANN401 - JSON
        """Make a widget."""
        key = {"idempotency-key": str(uuid.uuid4())}
        return await self.call("POST", WIDGETS, {"name": "bench", "payload": {"a": 1}}, **key)

    def path(self) -> str:
        """Return the next of the widgets in turn."""
        return self.paths[next(self.turn) % len(self.paths)]


async def _uncached(client: Client) -> None:
    await client.call("GET", WIDGETS + "?limit=1")


async def _delete(client: Client) -> None:
    await client.call("DELETE", client.paths.pop())


OPERATIONS: dict[str, Callable[[Client], Any]] = {
    "cached read": lambda client: client.call("GET", client.path()),
    "uncached read": _uncached,
    "create": Client.create,
    "update": lambda client: client.call("PATCH", client.path(), {"description": str(time.time())}),
    "native call": lambda client: client.call("GET", client.path() + "/native"),
    "login": lambda client: client.call("POST", f"{AUTH}/login", CREDENTIALS),
    "bulk of 100": lambda client: client.call("POST", f"{WIDGETS}/bulk", {"widgets": [{"name": "b"}] * 100}),
    "delete": _delete,
}
ONE_RATE = ("login", "bulk of 100", "delete")


def measure() -> dict[str, Any]:
    """Milliseconds, requests per second, and the ratio of CPU time per request."""
    with Supervisor.start(ROOT) as supervisor:
        with _lab(supervisor) as lab:
            operations = asyncio.run(_measure(lab))
            guarded = asyncio.run(_cpu_ms(lab))
        with _lab(supervisor, NAIVE) as lab:
            naive = asyncio.run(_cpu_ms(lab))
    cost = {name: {"with_ms": guarded[name], "without_ms": naive[name]} for name in guarded}
    for name, figures in cost.items():
        figures["ratio"] = round(guarded[name] / naive[name], 2)
    return {"operations": operations, "cpu_per_request": cost}


@contextmanager
def _lab(supervisor: Supervisor, off: str = "") -> Iterator[Lab]:
    os.environ["RESILIENCE_DISABLE"] = off
    try:
        with embedded(config.load(ROOT), supervisor) as lab:
            yield lab
    finally:
        del os.environ["RESILIENCE_DISABLE"]


@asynccontextmanager
async def _client(lab: Lab, widgets: int = 40) -> AsyncIterator[Client]:
    connector = aiohttp.TCPConnector(limit=500)
    async with aiohttp.ClientSession(lab.url, connector=connector) as http:
        client = Client(http=http)
        async with http.post(f"{AUTH}/register", json=CREDENTIALS):
            tokens = await client.call("POST", f"{AUTH}/login", CREDENTIALS)
        client.headers["authorization"] = f"Bearer {tokens['access_token']}"
        client.paths = [f"{WIDGETS}/{(await client.create())['id']}" for _ in range(widgets)]
        yield client


async def _measure(lab: Lab) -> dict[str, dict[str, float]]:
    async with _client(lab, widgets=int(GENTLE * SECONDS) + 40) as client:
        figures = {}
        for name, operation in OPERATIONS.items():
            took, errors = await _open_loop(client, operation, GENTLE, SECONDS)
            figures[name] = _distribution(took) | {"errors": errors}
            if name not in ONE_RATE:
                figures[name]["held_per_s"] = await _held(client, operation)
        return figures


async def _held(client: Client, operation: Callable[[Client], Any]) -> float:
    """Return the highest rate of `STEPS` at which all requests succeed, 99 of 100 in good time."""
    held = GENTLE
    for rate in STEPS:
        took, errors = await _open_loop(client, operation, rate, STEP_S)
        if errors or sorted(took)[int(len(took) * 0.99)] > PATIENCE_S:
            break
        held = rate
    return held


async def _open_loop(
    client: Client, operation: Callable[[Client], Any], rate: float, seconds: float
) -> tuple[list[float], int]:
    """Start *rate* operations a second whether or not the earlier ones are done."""
    took: list[float] = []
    errors = 0

    async def one() -> None:
        nonlocal errors
        begun = time.perf_counter()
        try:
            await operation(client)
        except aiohttp.ClientError:
            errors += 1
        took.append(time.perf_counter() - begun)

    start, tasks = time.perf_counter(), []
    for number in range(int(rate * seconds)):
        await asyncio.sleep(max(0.0, start + number / rate - time.perf_counter()))
        tasks.append(asyncio.create_task(one()))
    await asyncio.gather(*tasks)
    return took, errors


async def _cpu_ms(lab: Lab) -> dict[str, float]:
    """Return the CPU milliseconds of gateway and Widget Core together, per request."""
    async with _client(lab) as client:
        found = {}
        for name in ("cached read", "create"):
            await _open_loop(client, OPERATIONS[name], COST_RATE, 1.0)
            before = _cpu_s(lab)
            took, _ = await _open_loop(client, OPERATIONS[name], COST_RATE, COST_S)
            found[name] = round((_cpu_s(lab) - before) / len(took) * 1000, 2)
        return found


def _cpu_s(lab: Lab) -> float:
    times = [psutil.Process(lab.stack.processes[name].pid).cpu_times() for name in ("gateway", "widget-core")]
    return sum(one.user + one.system for one in times)


def _distribution(values: list[float]) -> dict[str, float]:
    ranked = sorted(values)
    p99 = ranked[max(0, -(-len(ranked) * 99 // 100) - 1)]
    return {"p50_ms": round(statistics.median(ranked) * 1000, 1), "p99_ms": round(p99 * 1000, 1), "n": len(ranked)}
