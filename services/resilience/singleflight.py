"""Many ask for the same at the same time: one fetches, the others share its answer."""

import asyncio
from collections.abc import Awaitable, Callable, Hashable
from typing import Generic, TypeVar

T = TypeVar("T")


class SingleFlight(Generic[T]):
    """Join callers of one key into one call. For one event loop."""

    def __init__(self, *, enabled: bool = True) -> None:
        """Start with nothing in flight."""
        self._enabled = enabled
        self._flights: dict[Hashable, asyncio.Task[T]] = {}
        self.joined = 0

    async def do(self, key: Hashable, fetch: Callable[[], Awaitable[T]]) -> T:
        """Return what *fetch* returns, fetching once for all who ask meanwhile.

        A caller that gives up does not take the flight down with it: the others still
        wait. An error reaches everyone who waited; the next caller tries afresh.
        """
        if not self._enabled:
            return await fetch()
        flight = self._flights.get(key)
        if flight is None:
            flight = asyncio.ensure_future(_run(fetch))
            self._flights[key] = flight
            flight.add_done_callback(lambda done: self._landed(key, done))
        else:
            self.joined += 1
        return await asyncio.shield(flight)

    def _landed(self, key: Hashable, flight: asyncio.Task[T]) -> None:
        del self._flights[key]
        if not flight.cancelled():
            flight.exception()  # seen: a flight that everyone left must not be reported as lost


async def _run(fetch: Callable[[], Awaitable[T]]) -> T:
    return await fetch()
