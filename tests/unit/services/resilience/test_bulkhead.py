"""A bulkhead bounds what one dependency can take."""

import asyncio

import pytest

from services.resilience import Bulkhead, BulkheadFull, BulkheadPolicy, Deadline


async def hold(bulkhead, clock, seconds, deadline_s=100):
    async with bulkhead.slot(Deadline.after(deadline_s, clock)):
        await asyncio.sleep(seconds)


def test_the_wait_for_a_slot_is_bounded(run, clock):
    """The one too many waits a moment and is refused; the observer hears of it."""

    async def story():
        refused = []
        bulkhead = Bulkhead(BulkheadPolicy(limit=2, wait_s=0.1), lambda: refused.append(clock()))
        held = [asyncio.create_task(hold(bulkhead, clock, 1)) for _ in range(2)]
        await asyncio.sleep(0)
        before = clock()
        with pytest.raises(BulkheadFull):
            await hold(bulkhead, clock, 1)
        assert clock() - before == pytest.approx(0.1, abs=0.01)
        assert bulkhead.in_use == 2
        await asyncio.gather(*held)
        assert (bulkhead.in_use, len(refused)) == (0, 1)

    run(story())


def test_a_slot_that_becomes_free_is_taken(run, clock):
    """Who waits gets the next slot."""

    async def story():
        bulkhead = Bulkhead(BulkheadPolicy(limit=1, wait_s=1))
        await asyncio.gather(*(hold(bulkhead, clock, 0.2) for _ in range(3)))
        assert bulkhead.in_use == 0

    run(story())


def test_the_deadline_shortens_the_wait(run, clock):
    """Nobody waits for a slot longer than for the answer."""

    async def story():
        bulkhead = Bulkhead(BulkheadPolicy(limit=1, wait_s=10))
        held = asyncio.create_task(hold(bulkhead, clock, 5))
        await asyncio.sleep(0)
        before = clock()
        with pytest.raises(BulkheadFull):
            await hold(bulkhead, clock, 1, deadline_s=0.5)
        assert clock() - before < 1
        await held

    run(story())


def test_an_error_gives_the_slot_back(run, clock):
    """The slot is free again however the call ends."""

    async def story():
        bulkhead = Bulkhead(BulkheadPolicy(limit=1))
        with pytest.raises(KeyError):
            async with bulkhead.slot(Deadline.after(1, clock)):
                raise KeyError
        assert bulkhead.in_use == 0

    run(story())


def test_without_a_bulkhead_there_is_no_limit(run, clock):
    """With `bulkhead` off one dependency can take everything."""

    async def story():
        bulkhead = Bulkhead(BulkheadPolicy(limit=1, wait_s=0, enabled=False))
        held = [asyncio.create_task(hold(bulkhead, clock, 1)) for _ in range(50)]
        await asyncio.sleep(0)
        assert bulkhead.in_use == 50
        await asyncio.gather(*held)

    run(story())
