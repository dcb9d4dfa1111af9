"""One fetches, the others share."""

import asyncio

import pytest

from services.resilience import SingleFlight


class Source:
    """Count how often it is asked."""

    def __init__(self, error=None):
        self.asked = 0
        self.error = error

    async def fetch(self):
        self.asked += 1
        await asyncio.sleep(1)
        if self.error:
            raise self.error
        return self.asked


def test_a_hundred_callers_are_one_query(run):
    """Everybody gets the answer of the one query."""

    async def story():
        flights, source = SingleFlight(), Source()
        answers = await asyncio.gather(*(flights.do("key", source.fetch) for _ in range(100)))
        assert (set(answers), source.asked) == ({1}, 1)
        assert await flights.do("key", source.fetch) == 2

    run(story())


def test_keys_do_not_share(run):
    """Different keys are different queries."""

    async def story():
        flights, source = SingleFlight(), Source()
        await asyncio.gather(flights.do("a", source.fetch), flights.do("b", source.fetch))
        assert source.asked == 2

    run(story())


def test_an_error_is_shared_and_forgotten(run):
    """Everybody who waited gets the error; the next caller tries afresh."""

    async def story():
        flights, source = SingleFlight(), Source(KeyError("gone"))
        answers = await asyncio.gather(*(flights.do("key", source.fetch) for _ in range(3)), return_exceptions=True)
        assert all(isinstance(answer, KeyError) for answer in answers)
        source.error = None
        assert await flights.do("key", source.fetch) == 2

    run(story())


def test_one_who_leaves_does_not_end_the_flight(run):
    """The first caller gives up; the second still gets the answer."""

    async def story():
        flights, source = SingleFlight(), Source()
        first = asyncio.create_task(flights.do("key", source.fetch))
        second = asyncio.create_task(flights.do("key", source.fetch))
        await asyncio.sleep(0.5)
        first.cancel()
        assert await second == 1
        with pytest.raises(asyncio.CancelledError):
            await first

    run(story())


def test_a_flight_that_is_cancelled_itself_is_over(run):
    """A cancelled flight leaves nothing behind."""

    async def story():
        flights, source = SingleFlight(), Source()
        waiting = asyncio.create_task(flights.do("key", source.fetch))
        await asyncio.sleep(0.1)
        for flight in flights._flights.values():
            flight.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        assert await flights.do("key", source.fetch) == 2

    run(story())


def test_switched_off_everybody_asks(run):
    """With `cache.singleflight` off a hundred callers are a hundred queries."""

    async def story():
        flights, source = SingleFlight(enabled=False), Source()
        await asyncio.gather(*(flights.do("key", source.fetch) for _ in range(100)))
        assert source.asked == 100

    run(story())
