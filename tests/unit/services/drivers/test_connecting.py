"""Connections are opened ahead, never too many, and nobody waits for one in vain."""

# ruff: noqa: ARG002 - fakes take what the real ones take

import random
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from chaos.clock import wait_for
from services.drivers.connecting import Connector
from services.resilience import BulkheadFull, Deadline, NotSent, TokenBucket


class Link:
    """An open connection."""

    closed = 0

    def close(self):
        """Close it."""
        self.closed = 1


class Server:
    """Takes connections when its gate is open, and refuses those that come while it is down."""

    def __init__(self):
        self.dialled, self.down, self.gate = 0, False, threading.Event()
        self.gate.set()

    def __call__(self, deadline):
        """Be dialled."""
        self.dialled += 1
        self.gate.wait(5)
        if self.down:
            raise NotSent
        return Link()


@pytest.fixture
def server():
    return Server()


@pytest.fixture
def made(server):
    return Connector(server, size=3, pace=None, clock=time.monotonic, rng=random.Random(1))


def within(seconds):
    """Return the deadline so far from now."""
    return Deadline.after(seconds, time.monotonic)


def rested(made):
    """Wait until nobody opens anything."""
    wait_for(lambda: not made._filling and not made._opening, what="all that is missing is there", within_s=5)


def test_the_rest_is_opened_after_the_first(made, server):
    """Three are there, and the next two callers dial nobody; a closed one is replaced."""
    first = made.get(within(1))
    rested(made)
    assert server.dialled == made.opened == 3
    made.get(within(1)), made.get(within(1))
    assert server.dialled == 3
    first.close()
    made.get(within(1))
    rested(made)
    assert server.dialled == 4


def test_what_nobody_asked_for_is_closed_in_the_end(made):
    """The spare ones are ours to close, and none is opened after them."""
    first = made.get(within(1))
    rested(made)
    spare = list(made._spare)
    made.close()
    assert [one.closed for one in spare] == [1, 1]
    first.close()
    made.get(within(1))
    rested(made)
    assert made.opened == 4


def test_a_spare_one_that_is_there_after_the_end_is_closed(made, server):
    """It was being opened when everything was closed."""
    links = []
    made._dial = lambda deadline: links.append(server(deadline)) or links[-1]
    made._opening = 1  # as the thread that fills up notes it
    made.close()
    made._open(within(1), spare=True)
    assert (made._spare, [one.closed for one in links]) == ([], [1])


def test_who_needs_what_is_being_opened_waits_for_it(made, server):
    """He gets the spare connection when it is there, or gives up in his own time: nothing was sent."""
    made.get(within(1))
    rested(made)
    for one in (made.get(within(1)), made.get(within(1))):
        one.close()
    server.gate.clear()
    with ThreadPoolExecutor(3) as threads:
        callers = [threads.submit(made.get, within(5)) for _ in range(2)]
        wait_for(lambda: server.dialled == 5, what="both dial", within_s=5)
        made._filling = True
        with pytest.raises(NotSent):
            made.get(within(0.05))
        made._filling = False
        server.gate.set()
        assert all(one.result(5).closed == 0 for one in callers)
    rested(made)
    assert server.dialled == 5


def test_a_server_that_goes_away_while_the_pool_is_filled_is_left_alone(made, server):
    """Nobody dials it again before somebody has to, and then everything is filled up."""
    server.gate.set()
    first = made.get(within(1))
    rested(made)
    for one in (first, made.get(within(1)), made.get(within(1))):
        one.close()
    server.down = True
    with pytest.raises(NotSent):
        made.get(within(1))
    rested(made)
    assert server.dialled == 4
    server.down = False
    made.get(within(1))
    rested(made)
    assert server.dialled == 7
    assert (made.opened, made.failed) == (6, 1)


def test_new_connections_are_paced():
    """Beyond the burst a caller without time is refused, and one with time waits."""
    pace = TokenBucket(rate=20, burst=1, clock=time.monotonic)
    made = Connector(Server(), size=1, pace=pace, clock=time.monotonic, rng=random.Random(1))
    made.get(within(1)).close()
    with pytest.raises(BulkheadFull):
        made.get(within(0.01))
    made.get(within(1))
    assert (made.opened, made.failed) == (2, 0)
