"""Four questions to a circuit breaker, each answered by a value: held or not, and what was seen."""

import asyncio
import contextlib
import time
from dataclasses import dataclass

from tests.conformance.breakers.adapters import FAILURES, PAUSE_S, Adapter, Broken, Refused

CALLERS = 20
CALL_S = 0.05


@dataclass(frozen=True, kw_only=True, slots=True)
class Answer:
    """What a check found; `held` is None where the question makes no sense."""

    held: bool | None
    seen: str


class Dependency:
    """Something that is up or down, takes its time, and counts who reaches it."""

    def __init__(self, *, down=False, takes_s=0.0):
        self.down = down
        self.takes_s = takes_s
        self.reached = 0

    async def work(self):
        self.reached += 1
        down = self.down
        await asyncio.sleep(self.takes_s)
        if down:
            raise Broken


async def attempt(breaker: Adapter, dependency: Dependency) -> bool:
    """Make one call and tell whether it was let through."""
    try:
        await breaker.call(dependency.work)
    except Refused:
        return False
    except Broken:
        return True
    return True


async def trip(breaker: Adapter) -> None:
    """Open the breaker with failures in a row."""
    for _ in range(FAILURES):
        with contextlib.suppress(Broken, Refused):
            await breaker.call(Dependency(down=True).work)


async def trip_and_wait(breaker: Adapter) -> None:
    """Open the breaker and let its pause pass."""
    await trip(breaker)
    await asyncio.sleep(PAUSE_S * 1.25)


async def half_open_permits(breaker: Adapter) -> Answer:
    """How many of twenty callers reach a dependency that is still down, when the pause is over?"""
    await trip_and_wait(breaker)
    dependency = Dependency(down=True, takes_s=CALL_S)
    await asyncio.gather(*(attempt(breaker, dependency) for _ in range(CALLERS)))
    return Answer(held=dependency.reached <= 1, seen=f"{dependency.reached} of {CALLERS} reach it")


async def late_success(breaker: Adapter) -> Answer:
    """Does the success of a call from before close a breaker that has opened meanwhile?"""
    slow = asyncio.create_task(attempt(breaker, Dependency(takes_s=PAUSE_S / 2)))
    await asyncio.sleep(PAUSE_S / 10)
    await trip(breaker)
    await slow
    let_through = await attempt(breaker, Dependency())
    return Answer(held=not let_through, seen="closes it" if let_through else "counts for nothing")


async def cancelled_probe(breaker: Adapter) -> Answer:
    """After a probe was cancelled: is exactly the next caller the new probe?"""
    if not breaker.cancellable:
        return Answer(held=None, seen="threads cannot be cancelled")
    await trip_and_wait(breaker)
    probe = asyncio.create_task(attempt(breaker, Dependency(takes_s=10)))
    await asyncio.sleep(CALL_S / 2)
    probe.cancel()
    await asyncio.gather(probe, return_exceptions=True)
    dependency = Dependency(down=True, takes_s=CALL_S)
    await asyncio.gather(*(attempt(breaker, dependency) for _ in range(2)))
    words = {0: "counts as a failure", 1: "counts neither way", 2: "lets everybody in"}
    return Answer(held=dependency.reached == 1, seen=words[dependency.reached])


async def serialisation(breaker: Adapter) -> Answer:
    """Do twenty calls at once run at once through a closed breaker?"""
    started = time.monotonic()
    dependency = Dependency(takes_s=CALL_S)
    await asyncio.gather(*(attempt(breaker, dependency) for _ in range(CALLERS)))
    one_after_the_other = time.monotonic() - started > CALLERS * CALL_S * 0.75
    return Answer(held=not one_after_the_other, seen="one after the other" if one_after_the_other else "at once")


CHECKS = {
    "half-open permits": half_open_permits,
    "late success": late_success,
    "cancelled probe": cancelled_probe,
    "calls at the same time": serialisation,
}
