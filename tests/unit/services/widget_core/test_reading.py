"""Reading: the cache where it is fresh, the record where it is not, old values where nothing answers."""

# ruff: noqa: ARG002 - fakes take what the real ones take; made-up secrets

import asyncio
import dataclasses
import time

import pytest

from services.resilience import Deadline, NotSent, Shed, TokenBucket
from services.widget_core.cache import CachePolicy, WidgetCache
from services.widget_core.model import NotFoundError, Row
from services.widget_core.reading import Reader, ReadPolicy
from tests.unit.services.fakes import FakeRedis

POLICY = ReadPolicy(soft_ttl_s=2, hard_ttl_s=30)
DEAD = NotSent("away")


class FakeRecord:
    """Rows in a dictionary, or the given error."""

    def __init__(self):
        self.rows, self.error, self.asked = {}, None, 0

    async def get(self, wid, deadline):
        """Return a row."""
        self.asked += 1
        if self.error:
            raise self.error
        if wid not in self.rows:
            raise NotFoundError
        return self.rows[wid]


def row(version=1, state="active"):
    """Return the widget w at *version*."""
    return Row(id="w", version=version, state=state, body=f'{{"version": {version}}}')


class World:
    """A reader with its surroundings."""

    def __init__(self, run, clock, **policy):
        self.run = run
        self.redis, self.record, self.now = FakeRedis(), FakeRecord(), 5000.0
        self.record.rows["w"] = row()
        self.policy = dataclasses.replace(POLICY, **policy)
        cache_policy = CachePolicy(hard_ttl_s=30, expire=self.policy.expire, versioned=self.policy.versioned)
        self.cache = WidgetCache(self.redis, cache_policy, wall=lambda: self.now)
        self.cap = TokenBucket(rate=0.001, burst=3, clock=clock)
        self.restart()

    def restart(self):
        """Forget what the process itself remembers."""
        self.served = []
        note = lambda result, age_s: self.served.append((result, age_s))  # noqa: E731 - short
        self.reader = Reader(self.record, self.cache, self.policy, self.cap, note)

    def get(self, min_version=0):
        """Read the widget and return where it came from and its version."""
        found = self.run(self.reader.get("w", Deadline.after(5, time.monotonic), min_version))
        return found.source.value, found.row.version

    def write(self, version):
        """Record a new version and remember it."""
        self.record.rows["w"] = row(version)
        self.run(self.reader.remember(row(version), Deadline.after(5, time.monotonic)))


@pytest.fixture
def world(run, clock):
    return lambda **policy: World(run, clock, **policy)


def test_miss_then_hit_then_miss(world):
    """The first read fills the cache, which answers until the value is no longer fresh."""
    here = world()
    assert [here.get(), here.get()] == [("miss", 1), ("hit", 1)]
    here.now += 2.1
    assert here.get() == ("miss", 1)


def test_the_age_of_each_answer_is_told(world):
    """A miss is new, a hit as old as the value."""
    here = world()
    here.get()
    here.now += 1.5
    here.get()
    assert here.served == [("miss", 0.0), ("hit", 1.5)]


def test_without_a_cache_the_record_is_asked_each_time(world):
    """With `cache` off every read is a query."""
    here = world(cache=False)
    assert [here.get()[0] for _ in range(3)] == ["miss"] * 3
    assert here.record.asked == 3


def test_without_ttl_old_values_stay_fresh(world):
    """With `cache.ttl` off a cached value is good for ever."""
    here = world(expire=False)
    here.get()
    here.now += 10**6
    assert here.get() == ("hit", 1)


def test_a_dead_cache_is_gone_around(world):
    """Reads go to the record, and say so."""
    here = world()
    here.redis.error = DEAD
    assert here.get() == ("bypass", 1)


def test_reads_around_the_cache_are_rationed(world):
    """Beyond the ration the last known value is shown, or the read is shed."""
    here = world()
    here.redis.error = DEAD
    assert [here.get()[0] for _ in range(5)] == ["bypass"] * 3 + ["stale"] * 2
    other = world(local=False)
    other.redis.error = DEAD
    for _ in range(3):
        other.get()
    with pytest.raises(Shed):
        other.get()
    uncapped = world(capped=False)
    uncapped.redis.error = DEAD
    assert [uncapped.get()[0] for _ in range(5)] == ["bypass"] * 5


def test_a_dead_record_leaves_old_values_within_bounds(world):
    """Stale until the hard limit, an error beyond it."""
    here = world()
    here.get()
    here.record.error = DEAD
    here.now += 29
    assert here.get() == ("stale", 1)
    here.restart()
    here.now += 2
    with pytest.raises(NotSent):
        here.get()


def test_without_stale_if_error_the_error_is_shown(world):
    """With `cache.stale_if_error` off readers see the outage."""
    here = world(stale_if_error=False)
    here.get()
    here.record.error = DEAD
    here.now += 3
    with pytest.raises(NotSent):
        here.get()


def test_both_dead_the_process_remembers(world):
    """With cache and record away the local value is shown; with `cache.local` off there is none."""
    for local, outcome in ((True, "stale"), (False, None)):
        here = world(local=local)
        here.get()
        here.record.error = here.redis.error = DEAD
        if outcome:
            assert here.get() == (outcome, 1)
        else:
            with pytest.raises(NotSent):
                here.get()


def test_a_failed_put_does_not_bring_the_old_value_back(world):
    """The cache holds version 1, the put of version 2 failed: this process knows better."""
    here = world()
    here.get()
    here.redis.error = DEAD
    here.write(2)
    here.redis.error = None
    assert here.get() == ("miss", 2)


def test_nobody_waits_for_a_dead_cache_twice(world):
    """A read that went around the cache tells it later, and never less than is owed already."""
    here = world()
    here.redis.error = DEAD
    assert here.get() == ("bypass", 1)
    assert here.cache.owed["w"].version == 1
    here.write(2)
    here.cache.owe(Row(id="w", version=1, state="active", body="{}"))
    assert here.cache.owed["w"].version == 2


def test_what_could_not_be_put_is_owed(world):
    """An update during an outage of the cache is put when it is back."""
    here = world()
    here.get()
    here.redis.error = DEAD
    here.write(2)
    assert list(here.cache.owed) == ["w"]
    here.run(here.cache.settle(Deadline.after(5, time.monotonic)))
    assert here.cache.owed
    here.redis.error = None
    here.run(here.cache.settle(Deadline.after(5, time.monotonic)))
    assert not here.cache.owed
    here.restart()
    assert here.get() == ("hit", 2)


def test_a_late_put_cannot_replace_a_newer_value(world):
    """Version 1 arrives after version 2 and is dropped; with `cache.versioned` off it wins."""
    for versioned, expected in ((True, 2), (False, 1)):
        here = world(versioned=versioned)
        here.write(2)
        here.run(here.cache.put(row(1), Deadline.after(5, time.monotonic)))
        here.restart()
        assert here.get() == ("hit", expected)


@pytest.mark.parametrize(("later", "earlier"), [("active", "pending"), ("failed", "active"), ("failed", "pending")])
def test_a_late_put_cannot_take_back_a_state(world, later, earlier):
    """Pending becomes active at the same version, and stays so: in the cache, in the process, and in what is owed."""
    here, soon = world(), Deadline.after(5, time.monotonic)
    for one in (row(state=later), row(state=earlier)):
        here.run(here.reader.remember(one, soon))
    assert here.run(here.reader.get("w", soon)).row.state == later
    here.record.error = DEAD
    here.now += 3
    here.redis.values.clear()
    assert here.run(here.reader.get("w", soon)).row.state == later
    here.redis.error = DEAD
    for one in (row(state=later), row(state=earlier)):
        here.cache.owe(one)
    here.redis.error = None
    here.run(here.cache.settle(soon))
    here.restart()
    assert here.run(here.reader.get("w", soon)).row.state == later


class SlowRecord(FakeRecord):
    """A record that answers when it is told to, with what was there when it was asked."""

    def __init__(self):
        super().__init__()
        self.answer = asyncio.Event()

    async def get(self, wid, deadline):
        """Return the row as it was at the time of the question."""
        found = await super().get(wid, deadline)
        await self.answer.wait()
        return found


@pytest.mark.parametrize(("told", "min_version"), [(True, 0), (False, 2), (True, 2)])
def test_nobody_joins_a_flight_from_before_what_he_has_seen(world, told, min_version):
    """A query began, version 2 was written, a reader who knows of it asks: he is shown version 2."""
    here, soon = world(), Deadline.after(5, time.monotonic)
    slow = SlowRecord()
    slow.rows = here.record.rows
    here.record = slow
    here.restart()

    async def story():
        early = asyncio.create_task(here.reader.get("w", soon))
        await asyncio.sleep(0.1)
        slow.rows["w"] = row(2)
        if told:
            await here.reader.remember(row(2), soon)
            here.redis.values.clear()
        late = asyncio.create_task(here.reader.get("w", soon, min_version))
        await asyncio.sleep(0.1)
        slow.answer.set()
        return (await early).row.version, (await late).row.version

    assert here.run(story()) == (1, 2)


def test_who_has_seen_the_same_joins_one_flight(world):
    """Ten readers, one query."""
    here = world()

    async def story():
        soon = Deadline.after(5, time.monotonic)
        await asyncio.gather(*(here.reader.get("w", soon, 1) for _ in range(10)))

    here.run(story())
    assert here.record.asked == 1


def test_a_minimum_version_is_kept(world):
    """A cached version 1 is no answer for who has seen version 2; with the switch off it is."""
    here = world()
    here.get()
    here.record.rows["w"] = row(2)
    assert here.get(min_version=2) == ("miss", 2)
    careless = world(min_version=False)
    careless.get()
    assert careless.get(min_version=2) == ("hit", 1)


def test_stale_values_keep_the_minimum_version(world):
    """During an outage an error is better than time travel."""
    here = world()
    here.get()
    here.record.error = DEAD
    here.now += 3
    with pytest.raises(NotSent):
        here.get(min_version=2)


def test_deleted_stays_deleted(world):
    """After a deletion neither a late put nor the cache brings the widget back."""
    here = world()
    here.get()
    del here.record.rows["w"]
    here.run(here.reader.forget("w", 1, Deadline.after(5, time.monotonic)))
    here.run(here.cache.put(row(1), Deadline.after(5, time.monotonic)))
    with pytest.raises(NotFoundError):
        here.get()
    here.record.error = DEAD
    here.now += 3
    with pytest.raises(NotFoundError):
        here.get()
