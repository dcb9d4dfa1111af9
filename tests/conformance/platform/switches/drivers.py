"""What the drivers do over an edge when the other side falls silent, or breaks off."""

import asyncio
import contextlib
import math
import time
from dataclasses import replace

from services.drivers.http import Call
from services.profiles import LAB
from services.resilience import Deadline, OutcomeUnknown, ResilienceError
from tests.conformance.platform.switches.world import World, serving, silent

CUT_S = 0.5
LONG = Deadline.never(time.monotonic)


def attempt_timeout(world: World, name: str) -> bool:
    """A call to a server that takes connections and never speaks is given up in time."""
    return world.really(_given_up(world, name, attempt_s=0.1, total_s=0.3))


def deadline(world: World, name: str) -> bool:
    """The total time ends a call whose first attempt would have much longer."""
    return world.really(_given_up(world, name, attempt_s=10.0, total_s=0.1))


def deadline_propagate(world: World, name: str) -> bool:
    """The tenth of a second that the caller has left ends a call that would have much longer."""
    return world.really(_given_up(world, name, attempt_s=10.0, total_s=10.0, left_s=0.1))


def deadline_passed_on(world: World, name: str) -> bool:
    """The caller's time bounds ours, and the service behind is told how much of it is left."""

    async def story():
        heard = []
        async with serving(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n", heard=heard.append) as port:
            world.build(name.split(".", maxsplit=1)[0], **_at(port))
            await _dial(world, name, Deadline.after(10.0, time.monotonic))
        return b"x-deadline-ms: " in heard[0].lower()

    bounded, told = deadline_propagate(world, name), world.really(story())
    assert bounded == told
    return bounded


def body_integrity(world: World, name: str) -> bool:
    """Half a body is an error, and not an answer."""

    async def story():
        async with serving(b"HTTP/1.1 200 OK\r\ncontent-length: 200\r\n\r\nhalf") as port:
            world.build(name.split(".", maxsplit=1)[0], **_at(port))
            try:
                await _dial(world, name, LONG)
            except OutcomeUnknown:
                return True
            return False

    return world.really(story())


async def _given_up(world, name, *, left_s=math.inf, **times) -> bool:
    """Tell whether a call to a server that never speaks ends soon, with these times on the edge."""
    edges = {kind: replace(known, **times) for kind, known in LAB.edges.items()}
    off = [f"{name}.connect_timeout"] if name.endswith("postgres") else []
    async with silent() as port:
        world.build(name.split(".", maxsplit=1)[0], *off, profile={"edges": edges}, **_at(port))
        return await ends_within(world.patience_s(CUT_S), _dial(world, name, LONG.within(left_s)))


def _at(port) -> dict[str, str]:
    urls = dict.fromkeys(("WIDGET_CORE_URL", "SECURITY_SERVICE_URL"), f"http://127.0.0.1:{port}")
    return {**urls, "POSTGRES_PORT": port, "REDIS_PORT": port}


async def ends_within(seconds, work) -> bool:
    """Tell whether *work* comes to an end, good or bad, within *seconds*."""
    try:
        async with asyncio.timeout(seconds):
            with contextlib.suppress(ResilienceError):
                await work
    except TimeoutError:
        return False
    return True


def _dial(world, name, deadline):
    """Return the simplest call there is over the edge *name*, by its driver."""
    if name.endswith("redis"):
        return world.part("RedisStore", name).ask(lambda redis: redis.get("x"), deadline)
    if name.endswith("postgres"):
        pool, edge = world.part("Postgres", name), world.edge_built(name)
        return edge.call(lambda left: pool.run(lambda _: None, left), deadline=deadline)
    return world.part("Upstream", name).call(Call(method="GET", path="/", headers={}), deadline)


SILENT = {"attempt_timeout": attempt_timeout, "deadline": deadline, "deadline.propagate": deadline_propagate}
HTTP = {"body_integrity": body_integrity, "deadline.propagate": deadline_passed_on}
