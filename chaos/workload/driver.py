"""Sends workloads on time and samples what happens, in an event loop of its own thread."""

from __future__ import annotations

import asyncio
import random
import threading
from collections.abc import Iterator, Sequence
from typing import Final

import uvloop

from chaos.clock import NS_PER_S, now_ns
from chaos.errors import ConfigError, LabError
from chaos.history import Outcome, Recorder
from chaos.lab import Lab
from chaos.workload.client import Attempt, Client
from chaos.workload.gauge import Gauge
from chaos.workload.mix import name
from chaos.workload.request import ClosedLoop, OpenLoop, Request, Workload
from chaos.workload.sampler import Sampler
from chaos.workload.wire import Wire

DRAIN_WITHIN_S: Final = 15.0
_LOOK_UP_S: Final = 0.05
_TICK_S: Final = 0.001
"""The event loop's timers are no finer; requests that fall into one tick leave together."""


class Driver:
    """Drives *workloads* from ``start`` to ``stop``; every call is in the history before it leaves.

    Args:
        lab: the platform.
        workloads: all run at the same time.
        recorder: takes operations and samples.
        seed: of the clients' own randomness (retry waits, thinking).

    Raises:
        ConfigError: a plan fails or yields nothing; lists every problem, before anything is sent.
    """

    def __init__(self, lab: Lab, workloads: Sequence[Workload], recorder: Recorder, seed: int = 0) -> None:
        self._lab = lab
        self._recorder = recorder
        self._chance = random.Random(seed)  # noqa: S311  (spreads retries, guards nothing)
        self._lines = _prepared(lab, workloads)
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="workload", daemon=True)
        self._failure: BaseException | None = None
        self._processes = 0
        self._idle: list[int] = []

    def start(self) -> None:
        """Begin to send."""
        self._thread.start()

    def stop(self) -> None:
        """Send nothing more, wait for the answers that are still to come, and cancel the latest.

        Raises:
            LabError: the driver itself failed, or did not finish.
        """
        self._stopping.set()
        self._thread.join(timeout=2 * DRAIN_WITHIN_S)
        if self._thread.is_alive():
            msg = f"the workload did not finish within {2 * DRAIN_WITHIN_S:g} s of its end"
            raise LabError(msg)
        if self._failure:
            msg = f"the workload failed: {_cause(self._failure)}"
            raise LabError(msg) from self._failure

    def _run(self) -> None:
        try:
            with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
                runner.run(self._drive())
        except BaseException as error:  # noqa: BLE001  (handed to whoever calls stop)
            self._failure = error

    async def _drive(self) -> None:
        async with Wire(self._lab.url) as wire:
            client = Client(wire=wire, recorder=self._recorder, chance=self._chance, giving_up=self._stopping.is_set)
            sampler = Sampler(self._lab, self._recorder, wire, [line.gauge for line in self._lines])
            watching = asyncio.create_task(sampler.run())
            try:
                await self._send_all(client)
            finally:
                watching.cancel()
                await asyncio.wait([watching])
            if not watching.cancelled() and (error := watching.exception()):
                raise error

    async def _send_all(self, client: Client) -> None:
        """All workloads until the end, then their last answers."""
        start_ns = now_ns()
        try:
            async with asyncio.timeout(None) as patience, asyncio.TaskGroup() as calls:
                async with asyncio.TaskGroup() as senders:
                    for line in self._lines:
                        if isinstance(line.workload, OpenLoop):
                            senders.create_task(self._open_loop(line, line.workload, client, calls, start_ns))
                        else:
                            for _ in range(line.workload.users):
                                calls.create_task(self._user(line, line.workload, client))
                    senders.create_task(self._end())
                patience.reschedule(asyncio.get_running_loop().time() + DRAIN_WITHIN_S)
        except TimeoutError:
            return  # what was still under way is cancelled, and written down as unknown

    async def _end(self) -> None:
        while await self._until(now_ns() + NS_PER_S):
            pass

    async def _open_loop(
        self, line: _Line, workload: OpenLoop, client: Client, calls: asyncio.TaskGroup, start_ns: int
    ) -> None:
        shape, number = workload.shape, 0
        line.gauge.begin(start_ns, shape)
        while True:
            intended_ns = start_ns + round(shape.due_s(number) * NS_PER_S)
            if not await self._until(intended_ns):
                return
            calls.create_task(self._arrival(line, client, line.next(), intended_ns))
            number += 1

    async def _arrival(self, line: _Line, client: Client, request: Request, intended_ns: int) -> None:
        """A request by any client that is not waiting; one whose last outcome is unknown never comes back."""
        process = self._idle.pop() if self._idle else self._new_process()
        if await self._chain(line, client, request, process, intended_ns):
            self._idle.append(process)

    async def _user(self, line: _Line, workload: ClosedLoop, client: Client) -> None:
        """One user: think, call, and go on; as somebody else once an outcome is unknown.

        Thinking first keeps the users from all arriving at the same moment.
        """
        process = self._new_process()
        intended_ns = now_ns() + round(self._chance.uniform(0, workload.thinks[1]) * NS_PER_S)
        while await self._until(intended_ns):
            if not await self._chain(line, client, line.next(), process, intended_ns):
                process = self._new_process()
            intended_ns = now_ns() + round(self._chance.uniform(*workload.thinks) * NS_PER_S)

    async def _chain(self, line: _Line, client: Client, request: Request, process: int, intended_ns: int) -> bool:
        """A request and what follows from its answers; returns whether all outcomes are known."""
        current: Request | None = request
        while current:
            line.gauge.sent(intended_ns)
            last = await client.call(current, process, intended_ns)
            line.gauge.answered(intended_ns, last.outcome)
            current = None if self._stopping.is_set() else _following(current, last)
            intended_ns = now_ns()
        return last.outcome is not Outcome.INFO

    def _new_process(self) -> int:
        self._processes += 1
        return self._processes

    async def _until(self, when_ns: int) -> bool:
        """Wait for that moment; false when the load ended before it."""
        while (left_ns := when_ns - now_ns()) > 0 and not self._stopping.is_set():  # noqa: ASYNC110  (set by a thread)
            await asyncio.sleep(min(max(left_ns / NS_PER_S, _TICK_S), _LOOK_UP_S))
        return not self._stopping.is_set()


def _following(request: Request, last: Attempt) -> Request | None:
    """What the same client does next."""
    if request.then and last.answer and last.outcome is Outcome.OK:
        return request.then(last.answer)
    return None


class _Line:
    """A workload, its requests and its gauge."""

    def __init__(self, workload: Workload, requests: Iterator[Request], first: Request, label: str) -> None:
        self.workload = workload
        self.gauge = Gauge(label)
        self._requests = requests
        self._first: Request | None = first
        self._taken = 0

    def next(self) -> Request:
        """The next request; raises LabError when the plan has no more."""
        self._taken += 1
        if self._first:
            request, self._first = self._first, None
            return request
        for request in self._requests:
            return request
        msg = (
            f"the plan {name(self.workload.plan)} ended after {self._taken - 1} requests; "
            "a plan goes on without end (itertools.cycle, itertools.count)"
        )
        raise LabError(msg)


def _prepared(lab: Lab, workloads: Sequence[Workload]) -> list[_Line]:
    """Every workload with its first request: asking for it makes a plan prepare users and rows."""
    problems: list[str] = []
    lines = []
    for number, workload in enumerate(workloads, 1):
        label = f"{number} {name(workload.plan)}"
        try:
            requests = workload.plan(lab)
            first = next(requests, None) if isinstance(requests, Iterator) else requests
        except ConfigError as error:
            problems += (f"workload {label}: {problem}" for problem in error.problems)
            continue
        if isinstance(first, Request):
            lines.append(_Line(workload, requests, first, label))
        else:
            problems.append(f"workload {label}: its plan gives {first!r:.100}, expected an iterator of Request")
    if problems:
        raise ConfigError("workloads", problems)
    return lines


def _cause(error: BaseException) -> str:
    """The first error inside *error*'s groups, in words."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return str(error) if isinstance(error, LabError) else repr(error)
