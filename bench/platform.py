"""How quick the reference platform is, and what its safeguards cost.

Open loop, from outside, through the gateway and the lab's proxies: latencies at thirty requests a
second beside their targets, the highest rate that is held, and CPU per request with and without
the safeguards. Everything, this client too, shares one machine.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import statistics
import time
import uuid
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import psutil

from bench._targets import EACH, at_most, one_of
from chaos import config
from chaos.lab import Lab, embedded
from chaos.processes.supervisor import Supervisor

ROOT = Path(__file__).parent.parent
WIDGETS, AUTH = "/api/v1/widgets", "/api/v1/auth"
CREDENTIALS = {"email": "bench@example.org", "password": "a long password"}
HOT, WARM = 40, 4  # few enough that nearly every read of the warm ones is a hit
RATE, SECONDS, WARM_UP_S = 30.0, 3.0, 0.5
STEP_S, FACTOR, FLOOR, CEILING, REST_S = 1.2, 1.6, 2.0, 5000.0, 1.0
CLOSE = 1.18
BEHIND = 0.9  # of the rate that was asked for
REST_TRIES = 100
STALE_S = 2.2  # after this a cached widget is read from the record again
COST_RATE, COST_S, ROUNDS = 80.0, 1.5, 11
COSTED = ("cached read", "create")
COST_TARGET = 1.25
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
    """A user of the platform. `hot` widgets are read again and again, `spare` ones once each."""

    http: aiohttp.ClientSession
    headers: dict[str, str] = field(default_factory=dict)
    hot: list[str] = field(default_factory=list)
    spare: list[str] = field(default_factory=list)
    turn: Iterator[int] = field(default_factory=itertools.count)
    misses: int = 0

    async def call(self, method: str, path: str, body: object = None, **headers: str) -> Any:  # noqa: ANN401 - JSON
        """Make a request and return the answer's document; raises on any error."""
        async with self.http.request(method, path, json=body, headers=self.headers | headers) as answer:
            answer.raise_for_status()
            self.misses += answer.headers.get("x-cache") == "miss"
            return await answer.json() if answer.status not in (204, 304) else None

    async def change(self, method: str, path: str, body: object) -> Any:  # noqa: ANN401 - JSON
        """Make a request that changes something, with a key of its own."""
        return await self.call(method, path, body, **{"idempotency-key": str(uuid.uuid4())})

    async def create(self) -> Any:  # noqa: ANN401 - JSON
        """Make a widget."""
        return await self.change("POST", WIDGETS, {"name": "bench", "payload": {"a": 1}})

    async def bulk(self) -> Any:  # noqa: ANN401 - JSON
        """Make a hundred widgets."""
        return await self.change("POST", f"{WIDGETS}/bulk", {"widgets": [{"name": "bench"}] * 100})

    async def settle(self) -> None:
        """Wait until the platform is ready for changes: the gateway knows by then what is revoked."""
        for _ in range(REST_TRIES):
            if (await self.call("GET", "/health"))["status"] == "ok":
                return
            await asyncio.sleep(0.1)

    async def stock(self, count: int) -> None:
        """Have so many spare widgets that are at rest, and in no cache that counts as fresh."""
        while len(self.spare) < count:
            self.spare += [f"{WIDGETS}/{one['id']}" for one in (await self.bulk())["widgets"]]
        for _ in range(REST_TRIES):
            if (await self.call("GET", self.spare[-1]))["state"] == "active":
                break
            await asyncio.sleep(0.1)
        await asyncio.sleep(STALE_S)

    def path(self, of: int = HOT) -> str:
        """Return the next of the first *of* hot widgets."""
        return self.hot[next(self.turn) % of]


@dataclass(frozen=True, kw_only=True)
class Operation:
    """What is measured. begin: the rate to begin with; target_ms: p99 at thirty a second."""

    work: Callable[[Client], Any]
    begin: float = 80.0
    target_ms: float | None = None
    spends: bool = False


async def _uncached(client: Client) -> None:
    await client.call("GET", client.spare.pop(0))


async def _delete(client: Client) -> None:
    await client.change("DELETE", client.spare.pop(), None)


OPERATIONS: dict[str, Operation] = {
    "cached read": Operation(work=lambda client: client.call("GET", client.path(of=WARM))),
    "uncached read": Operation(work=_uncached, spends=True),
    "create": Operation(work=Client.create, target_ms=100),
    "update": Operation(
        work=lambda client: client.change("PATCH", client.path(), {"description": str(time.time())}), target_ms=50
    ),
    "delete": Operation(work=_delete, spends=True, target_ms=50),
    "native call": Operation(work=lambda client: client.call("GET", client.path() + "/native"), target_ms=20),
    "login": Operation(work=lambda client: client.call("POST", f"{AUTH}/login", CREDENTIALS)),
    "bulk of 100": Operation(work=Client.bulk, begin=RATE, target_ms=1000),
}


TARGETS = (
    *(at_most(o.target_ms, "operations", name, "p99_ms") for name, o in OPERATIONS.items() if o.target_ms),
    *(one_of([0], "operations", name, "errors") for name, o in OPERATIONS.items() if o.target_ms),
    at_most(COST_TARGET, "cpu_per_request", EACH, "ratio"),
)


@dataclass(frozen=True, kw_only=True)
class Run:
    """What came of some seconds at one rate. Times in seconds, from when each was due."""

    rate: float
    took: list[float]
    errors: int
    lasted_s: float

    @property
    def held(self) -> bool:
        """Tell whether nothing failed and the answers kept up with the requests."""
        return not self.errors and len(self.took) / self.lasted_s >= self.rate * BEHIND


def measure() -> dict[str, Any]:
    """Milliseconds, requests per second, and the ratio of CPU time per request."""
    with Supervisor.start(ROOT) as supervisor:
        with _lab(supervisor) as lab:
            operations = asyncio.run(_measure(lab))
        with _lab(supervisor) as guarded, _lab(supervisor, NAIVE) as naive:
            cost = asyncio.run(_cost({"with": guarded, "without": naive}))
    return {"cores": os.cpu_count(), "operations": operations, "cpu_per_request": cost}


@contextmanager
def _lab(supervisor: Supervisor, off: str = "") -> Iterator[Lab]:
    os.environ["RESILIENCE_DISABLE"] = off
    try:
        with embedded(config.load(ROOT), supervisor) as lab:
            del os.environ["RESILIENCE_DISABLE"]
            yield lab
    finally:
        os.environ.pop("RESILIENCE_DISABLE", None)


@asynccontextmanager
async def _client(lab: Lab) -> AsyncIterator[Client]:
    connector, limit = aiohttp.TCPConnector(limit=1000), aiohttp.ClientTimeout(total=5)
    async with aiohttp.ClientSession(lab.url, connector=connector, timeout=limit) as http:
        client = Client(http=http)
        await client.settle()
        await client.call("POST", f"{AUTH}/register", CREDENTIALS)
        tokens = await client.call("POST", f"{AUTH}/login", CREDENTIALS)
        client.headers["authorization"] = f"Bearer {tokens['access_token']}"
        client.hot = [f"{WIDGETS}/{(await client.create())['id']}" for _ in range(HOT)]
        yield client


async def _measure(lab: Lab) -> dict[str, dict[str, Any]]:
    async with _client(lab) as client:
        return {name: await _figures(client, operation) for name, operation in OPERATIONS.items()}


async def _figures(client: Client, operation: Operation) -> dict[str, Any]:
    await _at(client, operation, RATE, WARM_UP_S)
    client.misses = 0
    run = await _at(client, operation, RATE, SECONDS)
    figures = _distribution(run.took) | {"rate_per_s": RATE, "errors": run.errors, "cache_misses": client.misses}
    if operation.target_ms is not None:
        met = not run.errors and figures["p99_ms"] < operation.target_ms
        figures |= {"target_p99_ms": operation.target_ms, "target_met": met}
    return figures | await _limit(client, operation)


async def _limit(client: Client, operation: Operation) -> dict[str, float]:
    """Return the highest rate that was held and the lowest that was not, close to each other."""
    held, broken, rate = 0.0, CEILING, operation.begin
    while broken > max(held, FLOOR) * CLOSE:
        if (await _at(client, operation, rate, STEP_S)).held:
            held = rate
        else:
            broken = rate
            await asyncio.sleep(REST_S)  # queues empty, and breakers close
        rate = round(held * FACTOR if broken == CEILING else (held + broken) / 2, 1)
    return {"held_per_s": held, "not_held_per_s": broken}


async def _at(client: Client, operation: Operation, rate: float, seconds: float) -> Run:
    """Start *rate* operations a second whether or not the earlier ones are done."""
    took, errors = [], 0
    count = max(2, int(rate * seconds))
    if operation.spends:
        await client.stock(count)

    async def one(due: float) -> None:
        nonlocal errors
        try:
            await operation.work(client)
        except (aiohttp.ClientError, TimeoutError):
            errors += 1
        took.append(time.perf_counter() - due)

    start, tasks = time.perf_counter(), []
    for number in range(count):
        due = start + number / rate
        await asyncio.sleep(max(0.0, due - time.perf_counter()))
        tasks.append(asyncio.create_task(one(due)))
    await asyncio.gather(*tasks)
    return Run(rate=rate, took=took, errors=errors, lasted_s=time.perf_counter() - start)


async def _cost(labs: dict[str, Lab]) -> dict[str, Any]:
    """Return the CPU milliseconds of gateway and Widget Core together, per request, in turns."""
    async with AsyncExitStack() as stack:
        clients = {kind: await stack.enter_async_context(_client(lab)) for kind, lab in labs.items()}
        found: dict[str, Any] = {}
        for name in COSTED:
            spent: dict[str, list[float]] = {kind: [] for kind in labs}
            for number, kind in itertools.product(range(-1, ROUNDS), labs):
                spent_ms = await _cpu_ms(labs[kind], clients[kind], OPERATIONS[name])
                if number >= 0:  # the round before warms up
                    spent[kind].append(spent_ms)
            found[name] = _ratio(spent)
        return found


def _ratio(spent: dict[str, list[float]]) -> dict[str, Any]:
    ratios = [one / other for one, other in zip(spent["with"], spent["without"], strict=True)]
    ratio = round(statistics.median(ratios), 2)
    return {
        "with_ms": round(statistics.median(spent["with"]), 2),
        "without_ms": round(statistics.median(spent["without"]), 2),
        "ratio": ratio,
        "ratio_from_to": [round(min(ratios), 2), round(max(ratios), 2)],
        "rounds": ROUNDS,
        "n": int(COST_RATE * COST_S) * ROUNDS,
        "target_ratio": COST_TARGET,
        "target_met": ratio <= COST_TARGET,
    }


async def _cpu_ms(lab: Lab, client: Client, operation: Operation) -> float:
    before = _cpu_s(lab)
    run = await _at(client, operation, COST_RATE, COST_S)
    if run.errors:
        message = f"{run.errors} of {len(run.took)} requests failed while CPU time was measured"
        raise RuntimeError(message)
    return (_cpu_s(lab) - before) / len(run.took) * 1000


def _cpu_s(lab: Lab) -> float:
    times = [psutil.Process(lab.stack.processes[name].pid).cpu_times() for name in ("gateway", "widget-core")]
    return sum(one.user + one.system for one in times)


def _distribution(values: list[float]) -> dict[str, float]:
    ranked = sorted(values)
    p99 = ranked[max(0, -(-len(ranked) * 99 // 100) - 1)]
    return {"p50_ms": round(statistics.median(ranked) * 1000, 1), "p99_ms": round(p99 * 1000, 1), "n": len(ranked)}
