"""Sends workloads on time and samples the services' metrics, in an event loop of its own thread."""

from __future__ import annotations

import asyncio
import random
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import aiohttp

from chaos.clock import NS_PER_MS, NS_PER_S, now_ns
from chaos.errors import LabError
from chaos.history import HICCUP, Outcome, Recorder, Sample
from chaos.lab import Lab
from chaos.probes import connections
from chaos.workload.outcomes import from_error, from_status, worth_retrying
from chaos.workload.request import OpenLoop, Request

SAMPLE_EVERY_S: Final = 0.1
HICCUP_EVERY_NS: Final = 5 * NS_PER_MS
HICCUP_MIN_NS: Final = 5 * NS_PER_MS
RETRY_WAIT_S: Final = (0.2, 0.4)
DRAIN_WITHIN_S: Final = 15.0

_NOISE: Final = ("#", "python_", "process_")
_HISTOGRAMS: Final = ("_bucket{", "_created{", "_created ")


@dataclass(frozen=True, kw_only=True, slots=True)
class _Answer:
    """What one attempt came to."""

    outcome: Outcome
    status: int | None = None
    source: str | None = None
    retry_after: bool = False
    error: str | None = None


class Driver:
    """Drives *workloads* from ``start`` to ``stop``; every call is in the history before it leaves.

    Args:
        lab: the platform.
        workloads: all run at the same time.
        recorder: takes operations and samples.
        seed: of the clients' own randomness (retry waits).
    """

    def __init__(self, lab: Lab, workloads: Sequence[OpenLoop], recorder: Recorder, seed: int = 0) -> None:
        self._lab = lab
        self._recorder = recorder
        self._random = random.Random(seed)  # noqa: S311  (spreads retries, guards nothing)
        self._schedules = [(workload, workload.plan(lab)) for workload in workloads]
        # The first request makes a plan prepare users and rows, before any clock runs.
        self._first = [next(requests) for _, requests in self._schedules]
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="workload", daemon=True)
        self._failure: BaseException | None = None
        self._retired = 0
        self._idle: list[int] = []

    def start(self) -> None:
        """Begin to send."""
        self._thread.start()

    def stop(self) -> None:
        """Send nothing more, wait for the answers that are still to come.

        Raises:
            LabError: the driver itself failed, or did not finish.
        """
        self._stopping.set()
        self._thread.join(timeout=DRAIN_WITHIN_S)
        if self._thread.is_alive():
            msg = f"the workload did not finish within {DRAIN_WITHIN_S:g} s of its end"
            raise LabError(msg)
        if self._failure:
            msg = f"the workload failed: {self._failure!r}"
            raise LabError(msg) from self._failure

    def _run(self) -> None:
        try:
            asyncio.run(self._drive())
        except BaseException as error:  # noqa: BLE001  (handed to whoever calls stop)
            self._failure = error

    async def _drive(self) -> None:
        connector = aiohttp.TCPConnector(limit=0, keepalive_timeout=30)
        async with aiohttp.ClientSession(connector=connector, auto_decompress=False) as session:
            watching = [asyncio.create_task(self._sample(session)), asyncio.create_task(self._feel_hiccups())]
            start_ns = now_ns()
            async with asyncio.TaskGroup() as group:
                for (workload, requests), first in zip(self._schedules, self._first, strict=True):
                    group.create_task(self._open_loop(group, session, workload, requests, first, start_ns))
            for task in watching:
                task.cancel()

    async def _open_loop(
        self,
        group: asyncio.TaskGroup,
        session: aiohttp.ClientSession,
        workload: OpenLoop,
        requests: Iterator[Request],
        first: Request,
        start_ns: int,
    ) -> None:
        request, number = first, 0
        while not self._stopping.is_set():
            intended_ns = start_ns + int(number * NS_PER_S / workload.rate)
            if (wait_ns := intended_ns - now_ns()) > 0:
                await asyncio.sleep(wait_ns / NS_PER_S)
            group.create_task(self._call(session, request, intended_ns))
            request, number = next(requests), number + 1

    async def _call(self, session: aiohttp.ClientSession, request: Request, intended_ns: int) -> None:
        """One operation with all its attempts, written down before and after."""
        process = self._process()
        invoked = self._recorder.write(
            "invoke",
            process=process,
            operation=request.operation,
            key=request.key,
            value=request.value,
            intended=intended_ns,
            idempotency_key=request.idempotency_key,
        )
        answer, attempts = await self._attempts(session, request, invoked)
        self._recorder.write(
            answer.outcome,
            invoked=invoked,
            process=process,
            operation=request.operation,
            key=request.key,
            value=request.value,
            status=answer.status,
            source=answer.source,
            retry_after=answer.retry_after,
            attempts=attempts,
            error=answer.error,
        )
        if answer.outcome is not Outcome.INFO:
            self._idle.append(process)

    async def _attempts(self, session: aiohttp.ClientSession, request: Request, invoked: int) -> tuple[_Answer, int]:
        unknown = False
        for attempt in range(1, request.attempts + 1):
            if attempt > 1:
                self._recorder.write("attempt", invoked=invoked, attempt=attempt)
            answer = await self._attempt(session, request)
            unknown |= answer.outcome is Outcome.INFO
            if not worth_retrying(answer.status) or self._stopping.is_set():
                break
            if attempt < request.attempts:
                await asyncio.sleep(self._random.uniform(*RETRY_WAIT_S))
        if unknown and answer.outcome is Outcome.FAIL:
            # A refusal now says nothing about an earlier attempt that may have acted.
            answer = _Answer(outcome=Outcome.INFO, status=answer.status, error=answer.error)
        return answer, attempt

    async def _attempt(self, session: aiohttp.ClientSession, request: Request) -> _Answer:
        url = request.path if request.path.startswith("http") else self._lab.url + request.path
        headers = dict(request.headers)
        if request.idempotency_key:
            headers["Idempotency-Key"] = request.idempotency_key
        try:
            async with (
                asyncio.timeout(request.within_s),
                session.request(request.method, url, headers=headers, json=request.body) as response,
            ):
                await response.read()
                return _Answer(
                    outcome=from_status(response.status),
                    status=response.status,
                    source=response.headers.get("X-Cache"),
                    retry_after="Retry-After" in response.headers,
                )
        except (aiohttp.ClientError, TimeoutError, ConnectionError) as error:
            return _Answer(outcome=from_error(error), error=type(error).__name__)

    def _process(self) -> int:
        """A client that is not waiting; one whose last outcome is unknown never comes back."""
        if self._idle:
            return self._idle.pop()
        self._retired += 1
        return self._retired

    async def _feel_hiccups(self) -> None:
        """Note each time in which the lab's own loop stood still: nobody could see an answer then."""
        while True:
            due_ns = now_ns() + HICCUP_EVERY_NS
            await asyncio.sleep(HICCUP_EVERY_NS / NS_PER_S)
            if (late_ns := now_ns() - due_ns) > HICCUP_MIN_NS:
                values = {HICCUP: late_ns / NS_PER_MS}
                self._recorder.sample(Sample(time_ns=due_ns, service="lab", values=values))

    async def _sample(self, session: aiohttp.ClientSession) -> None:
        """Look at every service's metrics at 10 Hz; a service that does not answer leaves a gap."""
        services = self._lab.config.settings.services
        targets = [(name, f"http://{self._lab.address(name)}{spec.metrics}") for name, spec in services.items()]
        while True:
            self._look_at_edges()
            await asyncio.gather(*(self._look(session, name, url) for name, url in targets))
            await asyncio.sleep(SAMPLE_EVERY_S)

    def _look_at_edges(self) -> None:
        """Count the connections to every proxy with the kernel's eyes, not the services'."""
        counts = connections([edge.listen for edge in self._lab.edges()])
        values = {f'edge_connections{{edge="{e.name}"}}': float(counts[e.listen]) for e in self._lab.edges()}
        self._recorder.sample(Sample(time_ns=now_ns(), service="edges", values=values))

    async def _look(self, session: aiohttp.ClientSession, service: str, url: str) -> None:
        time_ns = now_ns()
        try:
            async with asyncio.timeout(SAMPLE_EVERY_S * 5), session.get(url) as response:
                text = await response.text()
        except (aiohttp.ClientError, TimeoutError, ConnectionError):
            return
        self._recorder.sample(Sample(time_ns=time_ns, service=service, values=parse_metrics(text)))


def parse_metrics(text: str) -> dict[str, float]:
    """Values by name and labels from Prometheus text, without histogram buckets and Python's own.

    Lines that are no samples are left out; the format is the exposition format 0.0.4.
    """
    values = {}
    for line in text.splitlines():
        if line.startswith(_NOISE) or any(part in line for part in _HISTOGRAMS):
            continue
        name, _, value = line.rpartition(" ")
        try:
            values[name] = float(value)
        except ValueError:
            continue
    return values
