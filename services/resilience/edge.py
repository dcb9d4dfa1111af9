"""One caller-to-dependency connection with all its safeguards, in their order.

Outside in: total deadline, retry, bulkhead, breaker, attempt timeout, driver.
"""

import math
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Protocol, TypeVar

from services.resilience.breaker import BreakerPolicy, CircuitBreaker, State, Ticket
from services.resilience.budget import BudgetPolicy, RetryBudget
from services.resilience.bulkhead import Bulkhead, BulkheadPolicy
from services.resilience.deadline import Clock, Deadline
from services.resilience.errors import (
    AnsweredUnknown,
    AttemptTimeout,
    DependencyFailed,
    OutcomeUnknown,
    Overloaded,
    Rejected,
    ResilienceError,
)
from services.resilience.retry import Retrier, RetryPolicy

T = TypeVar("T")
NEARLY = 0.9  # drivers count whole milliseconds, and some give up a little early
Attempt = Callable[[Deadline], Awaitable[T]]
"""One try at the driver, which must give up at the deadline it is handed."""


@dataclass(frozen=True, kw_only=True, slots=True)
class EdgePolicy:
    """All safeguards of an edge. Times in seconds; infinity means that it is switched off."""

    total_s: float = math.inf
    attempt_s: float = math.inf
    propagate: bool = True
    breaker_enabled: bool = True
    ignore_overload: bool = False
    breaker: BreakerPolicy = field(default_factory=BreakerPolicy)
    retry: RetryPolicy = field(default_factory=RetryPolicy)
    budget: BudgetPolicy = field(default_factory=BudgetPolicy)
    bulkhead: BulkheadPolicy = field(default_factory=BulkheadPolicy)


class EdgeObserver(Protocol):
    """Whoever wants to know what happens on an edge: metrics, or a test."""

    def attempted(self) -> None:
        """Take note that an attempt goes to the driver."""

    def finished(self, outcome: str) -> None:
        """Take note of the end of a call: ok, error, timeout, rejected or overloaded."""

    def rejected_by_bulkhead(self) -> None:
        """Take note that the bulkhead was full."""

    def changed(self, old: State, new: State) -> None:
        """Take note that the breaker changed its state."""


class Edge:
    """Make calls over one edge, guarded by its policy."""

    def __init__(self, name: str, policy: EdgePolicy, observer: EdgeObserver, clock: Clock, rng: random.Random) -> None:
        """Build the safeguards; nothing is started."""
        self.name = name
        self.policy = policy
        self.breaker = CircuitBreaker(policy.breaker, clock, observer.changed)
        self.bulkhead = Bulkhead(policy.bulkhead, observer.rejected_by_bulkhead)
        self.budget = RetryBudget(policy.budget)
        self.retrier = Retrier(policy.retry, self.budget, rng)
        self._observer = observer
        self._clock = clock

    def degraded(self) -> bool:
        """Tell whether the edge is known to be in trouble."""
        return self.policy.breaker_enabled and self.breaker.state is not State.CLOSED

    async def call(self, attempt: Attempt[T], *, deadline: Deadline, safe: bool = False) -> T:
        """Return what *attempt* returns.

        safe: the attempt may be repeated even if an earlier one had its effect.
        Raises what `services.resilience.errors` draws, with `.edge` set; the answers of
        the dependency, good or bad, pass through.
        """
        total = self._total(deadline)
        doubts: list[OutcomeUnknown] = []
        try:
            total.check()
            once = partial(self._guarded, attempt, total, doubts)
            result = await self.retrier.run(once, safe=safe, deadline=total, hopeless=self._is_open)
        except ResilienceError as last:
            # An attempt that may have had its effect is not undone by a later one that was
            # refused: the caller must hear of the doubt.
            error = doubts[0] if doubts else last
            error.edge = error.edge or self.name
            self._observer.finished(_outcome(error))
            raise error from None
        except Exception:
            self._observer.finished("ok")  # an answer we do not like is still an answer
            raise
        self._observer.finished("ok")
        return result

    def _is_open(self) -> bool:
        """Tell whether a repeat would be refused anyway, so that nobody waits for it."""
        return self.policy.breaker_enabled and self.policy.retry.classify and self.breaker.state is State.OPEN

    def _total(self, deadline: Deadline) -> Deadline:
        base = deadline if self.policy.propagate else Deadline.never(self._clock)
        return base.within(self.policy.total_s)

    async def _guarded(self, attempt: Attempt[T], total: Deadline, doubts: list[OutcomeUnknown]) -> T:
        async with self.bulkhead.slot(total):
            total.check()
            try:
                if not self.policy.breaker_enabled:
                    return await self._drive(attempt, total)
                return await self._through_breaker(attempt, total)
            except OutcomeUnknown as error:
                doubts.append(error)
                raise

    async def _through_breaker(self, attempt: Attempt[T], total: Deadline) -> T:
        ticket = self.breaker.admit()
        try:
            result = await self._drive(attempt, total)
        except DependencyFailed as error:
            self._judge(error, total)(ticket)
            raise
        except Rejected:
            self.breaker.cancel(ticket)
            raise
        except Exception:
            self.breaker.succeed(ticket)
            raise
        except BaseException:
            self.breaker.cancel(ticket)
            raise
        self.breaker.succeed(ticket)
        return result

    def _judge(self, error: DependencyFailed, total: Deadline) -> Callable[[Ticket], None]:
        # A dependency that says "one of mine is down" quickly is itself well: see S2S-09.
        if self.policy.ignore_overload and isinstance(error, Overloaded | AnsweredUnknown):
            return self.breaker.succeed
        out_of_time = isinstance(error, AttemptTimeout) or total.expired()
        return self._unless_hurried if out_of_time else self.breaker.fail

    def _unless_hurried(self, ticket: Ticket) -> None:
        """Report a silence, unless the caller left before an answer could be called slow: that is his doing."""
        patience_s = min(self.policy.attempt_s, self.policy.breaker.slow_s)
        hurried = self._clock() - ticket.started < NEARLY * patience_s
        (self.breaker.cancel if hurried else self.breaker.fail)(ticket)

    async def _drive(self, attempt: Attempt[T], total: Deadline) -> T:
        self._observer.attempted()
        # Without an attempt timeout the driver knows no deadline at all: a total that nobody
        # enforces while a call hangs is what a naive service has.
        unbounded = math.isinf(self.policy.attempt_s)
        return await attempt(Deadline.never(self._clock) if unbounded else total.within(self.policy.attempt_s))


def _outcome(error: ResilienceError) -> str:
    if isinstance(error, AttemptTimeout):
        return "timeout"
    if isinstance(error, Overloaded):
        return "overloaded"
    return "rejected" if isinstance(error, Rejected) else "error"
