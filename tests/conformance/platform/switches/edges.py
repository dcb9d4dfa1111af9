"""What each safeguard of an edge does to the calls over it, seen from the driver's side."""

import asyncio

from services.profiles import LAB
from services.resilience import (
    BulkheadFull,
    Deadline,
    NotSent,
    OutcomeUnknown,
    Overloaded,
    ResilienceError,
    State,
)
from tests.conformance.platform.switches.world import World

OPEN_S = LAB.breaker.open_s
ENOUGH = LAB.breaker.consecutive


class Dependency:
    """What attempts meet: errors first, then "done"; each may take its time."""

    def __init__(self, world, *errors, takes_s=0.0):
        self.world, self.errors, self.takes_s = world, list(errors), takes_s
        self.at, self.left = [], []

    async def __call__(self, deadline):
        """Be tried once."""
        self.at.append(self.world.clock())
        self.left.append(deadline.remaining())
        if self.takes_s:
            await asyncio.sleep(self.takes_s)
        if self.errors:
            raise self.errors.pop(0)
        return "done"


async def call(world, edge, dependency, *, safe=False, seconds=None):
    """Make one call; return the error it ended with, if any."""
    never = Deadline.never(world.clock)
    try:
        await edge.call(dependency, deadline=never if seconds is None else never.within(seconds), safe=safe)
    except ResilienceError as error:
        return error
    return None


async def trip(world, edge):
    """Open the breaker."""
    for _ in range(ENOUGH):
        await call(world, edge, Dependency(world, *[NotSent()] * 9))
    return edge


def breaker(world: World, name: str) -> bool:
    """After so many failures in a row nothing reaches the driver any more."""

    async def story():
        edge = await trip(world, world.edge(name))
        late = Dependency(world)
        await call(world, edge, late)
        return not late.at

    return world.virtually(story())


def breaker_slow_calls(world: World, name: str) -> bool:
    """Answers that are all slow open the breaker, though none is a failure."""

    async def story():
        edge = world.edge(name, f"{name}.bulkhead")
        slow = Dependency(world, takes_s=LAB.breaker.slow_s + 0.01)
        await asyncio.gather(*(call(world, edge, slow) for _ in range(LAB.breaker.min_calls)))
        return edge.degraded()

    return world.virtually(story())


def breaker_half_open_permits(world: World, name: str) -> bool:
    """When the pause is over one of five who come at once may try."""

    async def story():
        edge = await trip(world, world.edge(name, f"{name}.retry"))
        world.clock.pass_(OPEN_S)
        probed = Dependency(world, *[NotSent()] * 9, takes_s=0.05)
        await asyncio.gather(*(call(world, edge, probed) for _ in range(5)))
        return len(probed.at) == 1

    return world.virtually(story())


def breaker_generation(world: World, name: str) -> bool:
    """Successes of calls from before the outage do not close the breaker after it."""

    async def story():
        edge = world.edge(name, f"{name}.breaker.slow_calls")
        early = Dependency(world, takes_s=OPEN_S + 1.0)
        late = [asyncio.create_task(call(world, edge, early)) for _ in range(LAB.breaker.successes_to_close)]
        await asyncio.sleep(0)
        await trip(world, edge)
        await asyncio.gather(*late)
        return edge.breaker.state is State.HALF_OPEN

    return world.virtually(story())


def breaker_backoff(world: World, name: str) -> bool:
    """After a relapse the pause is longer than the first one."""

    async def story():
        edge = await trip(world, world.edge(name))
        first_s = edge.policy.breaker.open_s
        world.clock.pass_(first_s)
        for _ in range(LAB.breaker.successes_to_close):
            await call(world, edge, Dependency(world))
        assert edge.breaker.state is State.CLOSED
        await trip(world, edge)
        world.clock.pass_(first_s)
        return edge.breaker.state is State.OPEN

    return world.virtually(story())


def breaker_scope(world: World, name: str) -> bool:
    """Quick 503s about somebody else's trouble leave the breaker closed."""

    async def story():
        edge = world.edge(name)
        for _ in range(ENOUGH):
            await call(world, edge, Dependency(world, *[Overloaded(retry_after=60.0)] * 9))
        return not edge.degraded()

    return world.virtually(story())


def bulkhead(world: World, name: str) -> bool:
    """Of more callers than there are slots some are refused."""

    async def story():
        edge = world.edge(name)
        slow = Dependency(world, takes_s=5.0)
        callers = (call(world, edge, slow) for _ in range(edge.policy.bulkhead.limit + 3))
        return any(isinstance(error, BulkheadFull) for error in await asyncio.gather(*callers))

    return world.virtually(story())


def retry(world: World, name: str) -> bool:
    """A failure that had no effect is repeated, and nobody hears of it."""

    async def story():
        return await call(world, world.edge(name), Dependency(world, NotSent())) is None

    return world.virtually(story())


def retry_budget(world: World, name: str) -> bool:
    """In an outage of a hundred calls the retries are a small share of them."""

    async def story():
        edge = world.edge(name, f"{name}.breaker", f"{name}.deadline")
        down = Dependency(world, *[NotSent()] * 1000)
        for _ in range(100):
            await call(world, edge, down)
        return len(down.at) <= 125

    return world.virtually(story())


def retry_classify(world: World, name: str) -> bool:
    """What may have been done is not repeated."""

    async def story():
        tried = Dependency(world, OutcomeUnknown())
        await call(world, world.edge(name), tried)
        return len(tried.at) == 1

    return world.virtually(story())


def retry_honour_retry_after(world: World, name: str) -> bool:
    """The next attempt comes no earlier than the dependency has asked for."""

    async def story():
        hint = 0.06
        tried = Dependency(world, Overloaded(retry_after=hint))
        await call(world, world.edge(name, f"{name}.retry.jitter"), tried)
        return tried.at[1] - tried.at[0] >= hint - 1e-6

    return world.virtually(story())


def retry_jitter(world: World, name: str) -> bool:
    """Callers that fail together do not come back together."""

    async def story():
        edge, waits = world.edge(name), set()
        for _ in range(4):
            tried = Dependency(world, NotSent())
            await call(world, edge, tried)
            waits.add(round(tried.at[1] - tried.at[0], 6))
        return len(waits) > 1

    return world.virtually(story())


EDGE = {
    "breaker": breaker,
    "breaker.backoff": breaker_backoff,
    "breaker.generation": breaker_generation,
    "breaker.half_open_permits": breaker_half_open_permits,
    "breaker.slow_calls": breaker_slow_calls,
    "bulkhead": bulkhead,
    "retry": retry,
    "retry.budget": retry_budget,
    "retry.classify": retry_classify,
    "retry.honour_retry_after": retry_honour_retry_after,
    "retry.jitter": retry_jitter,
}
