"""A client-side deadline on everything that waits in psycopg2.

`statement_timeout` and TCP keepalives do not end a wait in a black hole; a wait callback
does. Inside the callback only raising is allowed: closing or cancelling there blocks.
"""

import contextlib
import math
import select
import threading
import time
from collections.abc import Iterator

import psycopg2.extensions as ext

from services.resilience import AttemptTimeout, Deadline

_now = threading.local()


@contextlib.contextmanager
def bounded(deadline: Deadline) -> Iterator[None]:
    """Let nothing that this thread does with psycopg2 wait beyond *deadline*."""
    ext.set_wait_callback(_wait)
    before, _now.deadline = current(), deadline
    try:
        yield
    finally:
        _now.deadline = before


def current() -> Deadline:
    """Return the deadline of what this thread does."""
    known: Deadline | None = getattr(_now, "deadline", None)
    return known or Deadline.never(time.monotonic)


def _wait(connection: ext.connection) -> None:
    deadline = current()
    poller = select.poll()
    while (state := connection.poll()) != ext.POLL_OK:
        poller.register(connection.fileno(), select.POLLOUT if state == ext.POLL_WRITE else select.POLLIN)
        left = deadline.remaining()
        if not poller.poll(None if math.isinf(left) else left * 1000):
            message = "no answer from the database in time"
            raise AttemptTimeout(message)
