"""A circuit breaker whose lock is held only around a call, never during it.

The state machine has the shape of sony/gobreaker (https://github.com/sony/gobreaker):
every change of state starts a new *generation*, and the result of a call counts only
in the generation that admitted it. On top of it: a sliding window with a ratio of
failures and of slow calls, and pauses that grow when the dependency relapses.

`tests/conformance/breakers` holds it, and the public breakers, to the same checks.
"""

import enum
import threading
from collections.abc import Callable
from dataclasses import dataclass

from services.resilience.deadline import Clock
from services.resilience.errors import BreakerOpen
from services.resilience.window import SlidingWindow


class State(enum.IntEnum):
    """The three states; the number is what the metric shows."""

    CLOSED = 0
    HALF_OPEN = 1
    OPEN = 2


@dataclass(frozen=True, kw_only=True, slots=True)
class BreakerPolicy:
    """When to open, for how long, and what it takes to close. Times in seconds.

    The last four are the breaker's own safeguards, to be switched off one by one.
    """

    consecutive: int = 5
    window_s: float = 10.0
    min_calls: int = 10
    failure_ratio: float = 0.5
    slow_s: float = 1.0
    slow_ratio: float = 0.8
    open_s: float = 5.0
    max_open_s: float = 60.0
    relapse_s: float = 10.0
    permits: int = 1
    successes_to_close: int = 2
    slow_calls: bool = True
    half_open_permits: bool = True
    generations: bool = True
    backoff: bool = True


@dataclass(frozen=True, kw_only=True, slots=True)
class Ticket:
    """Leave to make one call, to be given back with its result."""

    generation: int
    started: float


OnChange = Callable[[State, State], None]


def _ignore(_old: State, _new: State) -> None:
    """Take no notice of a change of state."""


class CircuitBreaker:
    """Admit calls, learn from their results, refuse while the dependency is down."""

    def __init__(self, policy: BreakerPolicy, clock: Clock, on_change: OnChange = _ignore) -> None:
        """Start closed. *on_change* is called with the old and the new state, under the lock."""
        self.policy = policy
        self._clock = clock
        self._on_change = on_change
        self._lock = threading.Lock()
        self._window = SlidingWindow(span_s=policy.window_s)
        self._state = State.CLOSED
        self._generation = 0
        self._row = 0  # failures in a row while closed, successes in a row while half-open
        self._probes = 0
        self._pause = policy.open_s
        self._until = 0.0
        self._closed_at: float | None = None

    @property
    def state(self) -> State:
        """Return the state as the next caller would meet it."""
        with self._lock:
            self._wake()
            return self._state

    def admit(self) -> Ticket:
        """Return leave for one call, or raise `BreakerOpen` with the time to come back."""
        with self._lock:
            self._wake()
            if self._state is State.OPEN:
                message = "circuit breaker is open"
                raise BreakerOpen(message, retry_after=self._until - self._clock())
            if self._state is State.HALF_OPEN:
                self._take_permit()
            return Ticket(generation=self._generation, started=self._clock())

    def succeed(self, ticket: Ticket) -> None:
        """Report that the dependency answered."""
        self._record(ticket, failed=False)

    def fail(self, ticket: Ticket) -> None:
        """Report that the dependency did not answer."""
        self._record(ticket, failed=True)

    def cancel(self, ticket: Ticket) -> None:
        """Give the ticket back without a result: an abandoned call says nothing."""
        with self._lock:
            if self._state is State.HALF_OPEN and self._counts(ticket):
                self._probes = max(0, self._probes - 1)

    def _take_permit(self) -> None:
        if self.policy.half_open_permits and self._probes >= self.policy.permits:
            message = "circuit breaker is half-open and its probes are out"
            raise BreakerOpen(message, retry_after=self.policy.open_s)
        self._probes += 1

    def _counts(self, ticket: Ticket) -> bool:
        return ticket.generation == self._generation or not self.policy.generations

    def _record(self, ticket: Ticket, *, failed: bool) -> None:
        with self._lock:
            self._wake()
            if not self._counts(ticket):
                return
            now = self._clock()
            slow = self.policy.slow_calls and now - ticket.started >= self.policy.slow_s
            if self._state is State.CLOSED:
                self._while_closed(now, failed=failed, slow=slow)
            else:
                self._while_probing(now, failed=failed or slow)

    def _while_closed(self, now: float, *, failed: bool, slow: bool) -> None:
        self._window.add(now, failed=failed, slow=slow)
        self._row = self._row + 1 if failed else 0
        if self._row >= self.policy.consecutive or self._ratio_exceeded(now):
            self._pause = self._next_pause(now)
            self._open(now)

    def _ratio_exceeded(self, now: float) -> bool:
        seen = self._window.total(now)
        if seen.calls < self.policy.min_calls:
            return False
        too_slow = seen.slow >= self.policy.slow_ratio * seen.calls
        return too_slow or seen.failures >= self.policy.failure_ratio * seen.calls

    def _next_pause(self, now: float) -> float:
        # A relapse soon after closing doubles the pause; a failed probe does not. In a long,
        # steady outage one probe per pause costs nothing, and the return is noticed at once;
        # it is a flapping dependency that must be left alone for longer each time.
        relapsed = self._closed_at is not None and now - self._closed_at < self.policy.relapse_s
        if self.policy.backoff and relapsed:
            return min(self._pause * 2, self.policy.max_open_s)
        return self.policy.open_s

    def _while_probing(self, now: float, *, failed: bool) -> None:
        self._probes = max(0, self._probes - 1)
        if failed:
            self._open(now)
            return
        self._row += 1
        if self._row >= self.policy.successes_to_close:
            self._closed_at = now
            self._window.clear()
            self._change(State.CLOSED)

    def _open(self, now: float) -> None:
        self._until = now + self._pause
        self._change(State.OPEN)

    def _wake(self) -> None:
        if self._state is State.OPEN and self._clock() >= self._until:
            self._change(State.HALF_OPEN)

    def _change(self, new: State) -> None:
        old, self._state = self._state, new
        self._generation += 1
        self._row = 0
        self._probes = 0
        if old is not new:
            self._on_change(old, new)
