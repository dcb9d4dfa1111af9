"""The door sheds what is too much and what comes too late."""

import asyncio
import dataclasses

import pytest

from services.resilience import Deadline, DeadlineExceeded, Ingress, IngressPolicy, Shed

POLICY = IngressPolicy(limit=2, queue=1, wait_s=0.05)


def ingress(clock, **changes):
    return Ingress(dataclasses.replace(POLICY, **changes), clock)


async def fill(door, clock, count=2):
    for _ in range(count):
        await door.enter(Deadline.after(10, clock))


def test_the_queue_is_short_and_the_wait_too(run, clock):
    """Two are inside, one waits a moment and is shed, one more is shed at once."""

    async def story():
        door = ingress(clock)
        await fill(door, clock)
        waiting = asyncio.create_task(door.enter(Deadline.after(10, clock)))
        await asyncio.sleep(0)
        assert (door.in_flight, door.queued) == (2, 1)
        before = clock()
        with pytest.raises(Shed) as refused:
            await door.enter(Deadline.after(10, clock))
        assert clock() == before
        assert refused.value.retry_after == 1.0
        with pytest.raises(Shed):
            await waiting
        assert clock() - before == pytest.approx(0.05, abs=0.01)
        assert door.shed == 2

    run(story())


def test_who_waits_comes_in_when_somebody_leaves(run, clock):
    """A place that becomes free goes to the queue."""

    async def story():
        door = ingress(clock)
        await fill(door, clock)
        waiting = asyncio.create_task(door.enter(Deadline.after(10, clock)))
        await asyncio.sleep(0)
        door.leave()
        await waiting
        assert door.in_flight == 2

    run(story())


def test_late_work_is_not_begun(run, clock):
    """A request whose deadline has passed takes no place."""

    async def story():
        door = ingress(clock)
        with pytest.raises(DeadlineExceeded):
            await door.enter(Deadline.after(0, clock))
        assert (door.in_flight, door.shed) == (0, 1)

    run(story())


def test_without_deadline_drop_late_work_is_done(run, clock):
    """With `deadline_drop` off the service works for nobody."""

    async def story():
        door = ingress(clock, deadline_drop=False)
        await door.enter(Deadline.after(0, clock))
        assert door.in_flight == 1

    run(story())


def test_without_a_bound_everybody_queues(run, clock):
    """With `queue_bound` off the line has no end."""

    async def story():
        door = ingress(clock, bounded=False)
        await fill(door, clock)
        waiting = [asyncio.create_task(door.enter(Deadline.after(1e6, clock))) for _ in range(100)]
        await asyncio.sleep(60)
        assert (door.queued, door.shed) == (100, 0)
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)

    run(story())


def test_without_a_limit_everybody_is_inside(run, clock):
    """With `ingress_limit` off nothing is shed."""

    async def story():
        door = ingress(clock, enabled=False)
        await fill(door, clock, 500)
        assert door.in_flight == 500

    run(story())


def test_the_limit_grows_while_the_service_warms_up(clock):
    """A cold service starts with a quarter of its places."""
    door = ingress(clock, limit=64, warmup_s=4)
    seen = []
    for _ in range(5):
        seen.append(door.limit())
        clock.pass_(1)
    assert seen == [16, 28, 40, 52, 64]
    assert ingress(clock, limit=2, warmup_s=10).limit() == 1
