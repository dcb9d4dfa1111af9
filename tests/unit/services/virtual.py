"""A clock that is moved by hand, and an event loop whose waits take no time."""

import asyncio
import selectors
from dataclasses import dataclass
from typing import Any


@dataclass
class FakeClock:
    """Seconds that pass only when a test says so."""

    now: float = 1000.0

    def __call__(self) -> float:
        """Return the present moment."""
        return self.now

    def pass_(self, seconds: float) -> None:
        """Let *seconds* pass."""
        self.now += seconds


class _Skipping(selectors.SelectSelector):
    """A selector that does not wait: it moves the clock by what it would have waited."""

    def __init__(self, clock: FakeClock) -> None:
        super().__init__()
        self._clock = clock

    def select(self, timeout: float | None = None) -> Any:
        if timeout is None:
            message = "everything waits for something that never comes"
            raise RuntimeError(message)
        self._clock.pass_(max(0.0, timeout))
        return super().select(0)


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop on a `FakeClock`: an hour's sleep is over at once."""

    def __init__(self, clock: FakeClock) -> None:
        """Run on *clock*."""
        super().__init__(_Skipping(clock))
        self._fake = clock

    def time(self) -> float:
        """Return the time on the clock."""
        return self._fake.now
