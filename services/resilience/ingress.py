"""Shedding at the door: a concurrency limit, a short bounded queue, and a look at the clock."""

from dataclasses import dataclass

from services.resilience.deadline import Clock, Deadline
from services.resilience.errors import DeadlineExceeded, Shed
from services.resilience.gate import Gate

UNLIMITED = 1_000_000
COLD_SHARE = 0.25


@dataclass(frozen=True, kw_only=True, slots=True)
class IngressPolicy:
    """How many requests at once, how many may queue and for how long. Times in seconds."""

    limit: int = 64
    queue: int = 32
    wait_s: float = 0.02
    warmup_s: float = 0.0
    enabled: bool = True
    bounded: bool = True
    deadline_drop: bool = True


class Ingress:
    """Admit requests; raise `Shed` or `DeadlineExceeded` for those that come too many or too late."""

    def __init__(self, policy: IngressPolicy, clock: Clock) -> None:
        """Start counting the warm-up now."""
        self.policy = policy
        self._clock = clock
        self._started = clock()
        self._gate = Gate(self.limit)
        self.shed = 0

    @property
    def in_flight(self) -> int:
        """Return how many requests are inside."""
        return self._gate.inside

    @property
    def queued(self) -> int:
        """Return how many requests stand at the door."""
        return self._gate.waiting

    def limit(self) -> int:
        """Return the present limit; it grows to the full one while the service warms up."""
        policy = self.policy
        if not policy.enabled:
            return UNLIMITED
        age = self._clock() - self._started
        if age >= policy.warmup_s:
            return policy.limit
        share = COLD_SHARE + (1 - COLD_SHARE) * age / policy.warmup_s
        return max(1, int(policy.limit * share))

    async def enter(self, deadline: Deadline) -> None:
        """Come in, or be refused; whoever came in calls `leave` afterwards."""
        if not self._gate.try_enter():
            await self._queue(deadline)
        if self.policy.deadline_drop and deadline.expired():
            self._gate.leave()
            self._refuse(DeadlineExceeded("the deadline passed before the work began"))

    def leave(self) -> None:
        """Go out, and let the next one in."""
        self._gate.leave()

    async def _queue(self, deadline: Deadline) -> None:
        policy = self.policy
        if policy.bounded and self._gate.waiting >= policy.queue:
            self._refuse(Shed("the service is full", retry_after=1.0))
        wait = min(policy.wait_s, deadline.remaining()) if policy.bounded else None
        if not await self._gate.wait(wait):
            self._refuse(Shed("the service is full", retry_after=1.0))

    def _refuse(self, error: Shed | DeadlineExceeded) -> None:
        self.shed += 1
        raise error
