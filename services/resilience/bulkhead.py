"""Bounded concurrency per dependency: one that is slow cannot take every worker."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

from services.resilience.deadline import Deadline
from services.resilience.errors import BulkheadFull
from services.resilience.gate import Gate

UNLIMITED = 1_000_000


@dataclass(frozen=True, kw_only=True, slots=True)
class BulkheadPolicy:
    """How many calls at once, and how long another one may wait for a slot."""

    limit: int = 10
    wait_s: float = 0.1
    enabled: bool = True


def _ignore() -> None:
    """Take no notice of a refusal."""


class Bulkhead:
    """Hold a slot for the time of a call, or refuse with `BulkheadFull`."""

    def __init__(self, policy: BulkheadPolicy, on_reject: Callable[[], None] = _ignore) -> None:
        """Start with every slot free."""
        self.policy = policy
        self._on_reject = on_reject
        self._gate = Gate(lambda: policy.limit if policy.enabled else UNLIMITED)

    @property
    def in_use(self) -> int:
        """Return how many slots are taken."""
        return self._gate.inside

    @asynccontextmanager
    async def slot(self, deadline: Deadline) -> AsyncIterator[None]:
        """Take a slot for the body of the `with`, waiting no longer than the deadline allows."""
        if not self._gate.try_enter() and not await self._wait(deadline):
            self._on_reject()
            message = "all slots of the bulkhead are taken"
            raise BulkheadFull(message, retry_after=self.policy.wait_s)
        try:
            yield
        finally:
            self._gate.leave()

    async def _wait(self, deadline: Deadline) -> bool:
        return await self._gate.wait(min(self.policy.wait_s, deadline.remaining()))
