"""The gate lets so many in, the others in the order they came, and loses nobody."""

import asyncio

from services.resilience.gate import Gate


def test_order_is_kept(run):
    """Whoever waits longest is next."""

    async def story():
        gate, entered = Gate(lambda: 1), []
        assert gate.try_enter()

        async def visitor(name):
            assert await gate.wait(10)
            entered.append(name)
            gate.leave()

        visits = [asyncio.create_task(visitor(name)) for name in "abc"]
        await asyncio.sleep(1)
        assert gate.waiting == 3
        gate.leave()
        await asyncio.gather(*visits)
        assert (entered, gate.inside, gate.waiting) == (["a", "b", "c"], 0, 0)

    run(story())


def test_nobody_jumps_the_line(run):
    """With somebody waiting, a free place is his."""

    async def story():
        limit = [1]
        gate = Gate(lambda: limit[0])
        gate.try_enter()
        waiting = asyncio.create_task(gate.wait(10))
        await asyncio.sleep(0)
        limit[0] = 2
        assert not gate.try_enter()
        gate.leave()
        assert await waiting

    run(story())


def test_waiting_ends(run, clock):
    """After the wait the visitor goes away and leaves no gap in the line."""

    async def story():
        gate = Gate(lambda: 1)
        gate.try_enter()
        before = clock()
        assert not await gate.wait(0.1)
        assert clock() - before < 0.2
        assert gate.waiting == 0
        gate.leave()
        assert gate.try_enter()

    run(story())


def test_a_cancelled_visitor_leaves_the_line(run):
    """Cancelling does not cost a place."""

    async def story():
        gate = Gate(lambda: 1)
        gate.try_enter()
        waiting = asyncio.create_task(gate.wait(None))
        await asyncio.sleep(0)
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        assert gate.waiting == 0

    run(story())


def test_a_place_given_to_one_who_left_is_passed_on(run):
    """Called in and cancelled in the same moment: the place goes to the next."""

    async def story():
        gate = Gate(lambda: 1)
        gate.try_enter()
        first, second = asyncio.create_task(gate.wait(None)), asyncio.create_task(gate.wait(None))
        await asyncio.sleep(0)
        gate.leave()
        first.cancel()
        await asyncio.gather(first, return_exceptions=True)
        assert await second
        assert gate.inside == 1

    run(story())


def test_a_cancelled_turn_is_skipped(run):
    """Who was cancelled but still stands in line is not called in."""

    async def story():
        gate = Gate(lambda: 1)
        gate.try_enter()
        first, second = asyncio.create_task(gate.wait(None)), asyncio.create_task(gate.wait(None))
        await asyncio.sleep(0)
        first.cancel()
        gate.leave()
        assert await second
        await asyncio.gather(first, return_exceptions=True)
        assert (gate.inside, gate.waiting) == (1, 0)

    run(story())
