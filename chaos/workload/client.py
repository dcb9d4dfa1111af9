"""One client call with all its attempts, written down before it leaves and after it ended."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import aiohttp
import msgspec
from aiohttp.http_exceptions import HttpProcessingError

from chaos.history import NEVER, Outcome, Recorder
from chaos.workload.answers import Answer, text_of
from chaos.workload.outcomes import from_error, from_status, over_all, worth_retrying
from chaos.workload.request import Request
from chaos.workload.wire import Wire

RETRY_WAIT_S: Final = (0.2, 0.4)

_BROKEN: Final = (aiohttp.ClientError, HttpProcessingError, TimeoutError, OSError)
_UNREADABLE: Final = (LookupError, TypeError, ValueError)


@dataclass(frozen=True, kw_only=True, slots=True)
class Attempt:
    """What one request on the wire came to."""

    outcome: Outcome
    answer: Answer | None = None
    error: str | None = None

    @property
    def status(self) -> int | None:
        """HTTP status, None without an answer."""
        return self.answer.status if self.answer else None


@dataclass(frozen=True, kw_only=True, slots=True)
class Client:
    """Makes calls.

    Attributes:
        wire: carries them.
        recorder: takes them down.
        chance: of the waits between attempts.
        giving_up: true once nothing may be tried again.
    """

    wire: Wire
    recorder: Recorder
    chance: random.Random
    giving_up: Callable[[], bool]

    async def call(self, request: Request, process: int, intended_ns: int) -> Attempt:
        """Make one operation of *process*; returns its last attempt, with the operation's outcome.

        A cancelled call is written down as unknown.
        """
        invoked = self.recorder.write(
            "invoke",
            process=process,
            operation=request.operation,
            key=request.key,
            value=request.value,
            intended=intended_ns,
            idempotency_key=request.idempotency_key,
        )
        attempts: list[Attempt] = []
        try:
            await self._attempts(request, invoked, attempts)
        except asyncio.CancelledError:
            attempts.append(Attempt(outcome=Outcome.INFO, error="cancelled"))
            self._complete(request, process, invoked, attempts)
            raise
        return self._complete(request, process, invoked, attempts)

    async def _attempts(self, request: Request, invoked: int, attempts: list[Attempt]) -> None:
        """Try until an answer is final; every attempt but the first has a line of its own."""
        while True:
            last = await self._attempt(request)
            attempts.append(last)
            if len(attempts) >= request.attempts or not worth_retrying(last.status) or self.giving_up():
                return
            await asyncio.sleep(self.chance.uniform(*RETRY_WAIT_S))
            self.recorder.write(
                "attempt",
                invoked=invoked,
                attempt=len(attempts) + 1,
                after=last.outcome,
                after_status=last.status,
                after_error=last.error,
            )

    async def _attempt(self, request: Request) -> Attempt:
        headers = request.headers
        if request.idempotency_key:
            headers = {**headers, "Idempotency-Key": request.idempotency_key}
        try:
            answer = await self.wire.send(
                request.method, request.path, headers, request.body, within_s=request.within_s
            )
        except _BROKEN as error:
            return Attempt(outcome=from_error(error), error=type(error).__name__)
        return Attempt(outcome=from_status(answer.status), answer=answer)

    def _complete(self, request: Request, process: int, invoked: int, attempts: list[Attempt]) -> Attempt:
        """Write down how the operation ended."""
        last = attempts[-1]
        outcome, error = over_all([attempt.outcome for attempt in attempts]), last.error
        value, version, headers = request.value, None, last.answer.headers if last.answer else {}
        if outcome is Outcome.OK and last.answer:
            value, version, error = _read(request, last.answer)
            outcome = Outcome.INFO if error else outcome
        self.recorder.write(
            outcome,
            invoked=invoked,
            process=process,
            operation=request.operation,
            key=request.key,
            value=value,
            version=version,
            status=last.status,
            source=text_of(headers["X-Cache"]) if "X-Cache" in headers else None,
            age_s=_age(headers.get("Age")),
            retry_after="Retry-After" in headers,
            attempts=len(attempts),
            error=error,
        )
        return Attempt(outcome=outcome, answer=last.answer, error=error)


def _read(request: Request, answer: Answer) -> tuple[Any, Any, str | None]:
    """Value, version, and why they could not be read: then nobody knows what the client saw."""
    try:
        value = request.reads(answer) if request.reads else request.value
        version = request.reads_version(answer) if request.reads_version else None
        if version is not None and (type(version) is not int or not 0 <= version < NEVER):
            msg = f"version {version!r} is not a whole number from 0 to {NEVER - 1}"
            raise TypeError(msg)
        msgspec.json.encode(value)  # what cannot be written down was not read either
    except _UNREADABLE as error:
        return request.value, None, text_of(f"unreadable answer: {error}")
    return value, version, None


def _age(text: str | None) -> float | None:
    try:
        return None if text is None else float(text)
    except ValueError:
        return None
