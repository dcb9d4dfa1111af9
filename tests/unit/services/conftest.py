"""Tests of the services run on virtual time."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from tests.unit.services.virtual import FakeClock, VirtualLoop


@pytest.fixture
def clock() -> FakeClock:
    """A clock to be moved by hand, or by the loop of `run`."""
    return FakeClock()


@pytest.fixture
def run(clock: FakeClock) -> Callable[[Coroutine[Any, Any, Any]], Any]:
    """Run a coroutine on a loop whose waits take no real time."""

    def on_virtual_time(work: Coroutine[Any, Any, Any]) -> Any:
        with asyncio.Runner(loop_factory=lambda: VirtualLoop(clock)) as runner:
            return runner.run(work)

    return on_virtual_time
