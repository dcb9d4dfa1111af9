"""A pool is full before the crowd comes, at the start and after an outage."""

import asyncio
import contextlib
import itertools
import random
import time
from dataclasses import replace

import pytest

from services.drivers.postgres import Postgres, pool_policy
from services.profiles import LAB
from services.resilience import Deadline, Switches
from services.safeguards import catalogue
from tests.conformance.platform.stores import wait_until

SIZE = 6
AMPLE_S = 10.0
OURS = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'crowd'"
END = OURS.replace("count(*)", "count(pg_terminate_backend(pid))")
_numbers = itertools.count()


@pytest.fixture
def own(running_stores):
    """A database of its own."""
    return running_stores.copy(f"pool_{next(_numbers)}")


@pytest.fixture
def pool(own):
    """A pool of six, in which nothing is open yet."""
    patient = replace(LAB.postgres, connect_s=AMPLE_S)
    policy = pool_policy(patient, "widget-core.postgres", SIZE, AMPLE_S, Switches(catalogue()))
    made = Postgres(own.postgres, policy, "crowd", random.Random(1))
    yield made
    made.close()


def ask(stores, statement: str) -> int:
    """Return the one number that *statement* gives."""
    with contextlib.closing(stores.connect()) as connection, connection.cursor() as cursor:
        cursor.execute(statement)
        return cursor.fetchone()[0]


def visit(pool, callers: int = 1) -> None:
    """Have so many callers hold a connection at the same time."""

    def stay(db) -> None:
        with db.cursor() as cursor:
            cursor.execute("SELECT pg_sleep(0.05)")

    async def story() -> None:
        soon = Deadline.after(AMPLE_S, time.monotonic)
        await asyncio.gather(*(pool.run(stay, soon) for _ in range(callers)))

    asyncio.run(story())


def test_the_first_caller_fills_the_pool(own, pool):
    """The others are opened behind his back, and not one too many: a crowd finds them all there."""
    visit(pool)
    wait_until(lambda: ask(own, OURS) == SIZE)
    visit(pool, SIZE)
    assert (pool.opened, ask(own, OURS)) == (SIZE, SIZE)


def test_after_an_outage_the_pool_is_filled_again(own, pool):
    """All connections were ended: the first who comes back gets a new one, and so will everybody."""
    visit(pool, SIZE)
    for round_ in (2, 3):
        ask(own, END)
        wait_until(lambda: ask(own, OURS) == 0)
        visit(pool)
        wait_until(lambda: ask(own, OURS) == SIZE)
        visit(pool, SIZE)
        assert (pool.opened, ask(own, OURS)) == (round_ * SIZE, SIZE)


def test_a_crowd_that_comes_first_is_not_doubled(own, pool):
    """They open the connections themselves: there is nothing to add."""
    visit(pool, SIZE)
    visit(pool, SIZE)
    assert (pool.opened, ask(own, OURS)) == (SIZE, SIZE)
