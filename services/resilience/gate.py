"""A counted gate with a waiting line: what bulkheads and the ingress limit are made of."""

import asyncio
from collections import deque
from collections.abc import Callable


class Gate:
    """Let at most `limit()` holders in; the others wait in the order they came.

    The limit is asked each time, so that it can grow while a service warms up.
    For one event loop, not for threads.
    """

    def __init__(self, limit: Callable[[], int]) -> None:
        """Start empty."""
        self._limit = limit
        self._line: deque[asyncio.Future[None]] = deque()
        self.inside = 0

    @property
    def waiting(self) -> int:
        """Return how many stand in line."""
        return len(self._line)

    def try_enter(self) -> bool:
        """Enter if there is room and nobody waits; never blocks."""
        if self._line or self.inside >= self._limit():
            return False
        self.inside += 1
        return True

    async def wait(self, seconds: float | None) -> bool:
        """Stand in line for at most *seconds* (None: for ever); tell whether we are in."""
        turn = asyncio.get_running_loop().create_future()
        self._line.append(turn)
        try:
            await asyncio.wait((turn,), timeout=seconds)
        except asyncio.CancelledError:
            self._abandon(turn)
            raise
        if not turn.done():
            self._line.remove(turn)
        return turn.done()

    def leave(self) -> None:
        """Make room, and call in the next in line."""
        self.inside -= 1
        self._call_in()

    def _call_in(self) -> None:
        while self._line and self.inside < self._limit():
            self.inside += 1
            self._line.popleft().set_result(None)

    def _abandon(self, turn: asyncio.Future[None]) -> None:
        # The turn may have come in the very moment the visitor left: then pass it on.
        if turn.done():
            self.leave()
        else:
            self._line.remove(turn)
