"""Retries at one layer: classified, jittered, within a budget and within the deadline."""

import asyncio
import math
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeVar

from tenacity import AsyncRetrying, RetryCallState, retry_if_exception, stop_after_attempt

from services.resilience.budget import RetryBudget
from services.resilience.deadline import Deadline
from services.resilience.errors import DependencyFailed, NotSent, OutcomeUnknown, Overloaded, Rejected, ResilienceError

T = TypeVar("T")
Sleep = Callable[[float], Awaitable[None]]


@dataclass(frozen=True, kw_only=True, slots=True)
class RetryPolicy:
    """How often, and how long between; the last four can be switched off one by one.

    attempts: calls in all, the first one included.
    base_s, cap_s: the wait before retry n is drawn from 0 to min(cap, base * 2**n).
    """

    attempts: int = 3
    base_s: float = 0.05
    cap_s: float = 0.4
    enabled: bool = True
    jitter: bool = True
    classify: bool = True
    honour_retry_after: bool = True


class Retrier:
    """Run an attempt again when that is safe, useful and affordable."""

    def __init__(
        self,
        policy: RetryPolicy,
        budget: RetryBudget,
        rng: random.Random,
        sleep: Sleep = asyncio.sleep,
    ) -> None:
        """Take chance and sleep from outside, so that tests decide both."""
        self.policy = policy
        self.budget = budget
        self.retries = 0
        self.waited_s = 0.0
        self.waited_squares = 0.0
        self._rng = rng
        self._sleep = sleep

    async def run(
        self,
        attempt: Callable[[], Awaitable[T]],
        *,
        safe: bool,
        deadline: Deadline,
        hopeless: Callable[[], bool] = lambda: False,
    ) -> T:
        """Return the first good result; raise the last error when there is none.

        safe: repeating does no harm even if an earlier attempt had its effect.
        hopeless: asked before each repeat; true ends it at once, without a wait.
        """
        self.budget.deposit()
        try:
            return await attempt()  # nearly always good: without the machinery below, 8 % of a cached read
        except Exception as error:  # noqa: BLE001 - tenacity is told of it, and decides
            met = [error]

        async def again() -> T:
            if met:
                raise met.pop()
            return await attempt()

        retrying = AsyncRetrying(
            sleep=self._sleep,
            stop=stop_after_attempt(self.policy.attempts if self.policy.enabled else 1),
            wait=self._wait,
            retry=retry_if_exception(lambda error: self._worth_it(error, safe=safe) and not hopeless()),
            before_sleep=lambda state: self._before_sleep(state, deadline),
            reraise=True,
        )
        return await retrying(again)

    def _worth_it(self, error: BaseException, *, safe: bool) -> bool:
        if not self.policy.classify:
            return isinstance(error, DependencyFailed | Rejected)
        if isinstance(error, Overloaded):
            return True  # its Retry-After decides below whether there is time
        return isinstance(error, NotSent) or (safe and isinstance(error, OutcomeUnknown))

    def _wait(self, state: RetryCallState) -> float:
        ceiling = min(self.policy.cap_s, self.policy.base_s * 2 ** (state.attempt_number - 1))
        wait = self._rng.uniform(0.0, ceiling) if self.policy.jitter else ceiling
        hint = self._hint(_error_of(state))
        return max(wait, hint) if self.policy.honour_retry_after else wait

    def _hint(self, error: BaseException) -> float:
        hint = error.retry_after if isinstance(error, ResilienceError) else None
        if hint is None:
            return math.inf if isinstance(error, Overloaded) else 0.0
        return hint

    def _before_sleep(self, state: RetryCallState, deadline: Deadline) -> None:
        wait = state.upcoming_sleep
        if wait >= deadline.remaining() or not self.budget.withdraw():
            raise _error_of(state)
        self.retries += 1
        self.waited_s += wait
        self.waited_squares += wait**2


def _error_of(state: RetryCallState) -> BaseException:
    error = state.outcome.exception() if state.outcome else None
    if error is None:  # tenacity calls us only after an error
        message = "a retry without an error"
        raise AssertionError(message)
    return error
