"""Five circuit breakers behind one face: `await call(work)`, raising `Refused` when they refuse.

All of them open after three failures in a row and stay open for `PAUSE_S`.
"""

import asyncio
import time
import warnings
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Protocol

import aiobreaker
import circuitbreaker
import purgatory
import pybreaker
from purgatory.domain.model import OpenedState

from services.resilience import BreakerOpen, BreakerPolicy, CircuitBreaker

PAUSE_S = 0.2
FAILURES = 3

Work = Callable[[], Awaitable[None]]


class Refused(Exception):
    """The breaker did not let the call through."""


class Broken(Exception):
    """The dependency is down."""


class Adapter(Protocol):
    """A circuit breaker under test."""

    name: str
    cancellable: bool

    async def call(self, work: Work) -> None:
        """Run *work* through the breaker."""


class Ours:
    """`services.resilience`, with one success to close, as the others have it."""

    name = "services.resilience"
    cancellable = True

    def __init__(self):
        policy = BreakerPolicy(consecutive=FAILURES, open_s=PAUSE_S, successes_to_close=1, slow_s=60)
        self._breaker = CircuitBreaker(policy, time.monotonic)

    async def call(self, work):
        try:
            ticket = self._breaker.admit()
        except BreakerOpen as error:
            raise Refused from error
        try:
            await work()
        except asyncio.CancelledError:
            self._breaker.cancel(ticket)
            raise
        except Broken:
            self._breaker.fail(ticket)
            raise
        self._breaker.succeed(ticket)


class Pybreaker:
    """pybreaker is made for threads: each call runs in one of its own."""

    name = "pybreaker"
    cancellable = False

    def __init__(self):
        self._breaker = pybreaker.CircuitBreaker(fail_max=FAILURES, reset_timeout=PAUSE_S)

    async def call(self, work):
        def in_thread():
            self._breaker.call(lambda: asyncio.run(work()))

        try:
            await asyncio.to_thread(in_thread)
        except pybreaker.CircuitBreakerError as error:
            raise Refused from error


class Circuitbreaker:
    """circuitbreaker, by its asyncio interface."""

    name = "circuitbreaker"
    cancellable = True

    def __init__(self):
        self._breaker = circuitbreaker.CircuitBreaker(failure_threshold=FAILURES, recovery_timeout=PAUSE_S)

    async def call(self, work):
        try:
            await self._breaker.call_async(work)
        except circuitbreaker.CircuitBreakerError as error:
            raise Refused from error


class Purgatory:
    """purgatory, by its asyncio factory."""

    name = "purgatory"
    cancellable = True

    def __init__(self):
        self._factory = purgatory.AsyncCircuitBreakerFactory(default_threshold=FAILURES, default_ttl=PAUSE_S)

    async def call(self, work):
        try:
            async with await self._factory.get_breaker("one"):
                await work()
        except OpenedState as error:
            raise Refused from error


class Aiobreaker:
    """aiobreaker, whose clock is that of `datetime.utcnow`."""

    name = "aiobreaker"
    cancellable = True

    def __init__(self):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            self._breaker = aiobreaker.CircuitBreaker(fail_max=FAILURES, timeout_duration=timedelta(seconds=PAUSE_S))

    async def call(self, work):
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", DeprecationWarning)
                await self._breaker.call_async(work)
        except aiobreaker.CircuitBreakerError as error:
            raise Refused from error


ADAPTERS = (Ours, Pybreaker, Circuitbreaker, Purgatory, Aiobreaker)
