"""Whoever connects to ORB Core, and whatever he leaves out, its threads are bounded."""

import contextlib
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from chaos.clock import wait_for
from services.orb_core.servant import OWN_THREAD, SHARED
from tests.conformance.orb.conftest import dial, get

VISITORS = 60
HEADER = b"GIOP\x01\x02\x01\x00"  # and then four bytes of length, which never come


def threads(pid: int) -> int:
    """Return how many threads a process has."""
    return len(list(Path(f"/proc/{pid}/task").iterdir()))


@contextlib.contextmanager
def visitors(port: int, says: bytes) -> Iterator[None]:
    """Have so many connections open, each of which has said something."""
    with contextlib.ExitStack() as stack:
        for _ in range(VISITORS):
            visitor = stack.enter_context(socket.create_connection(("127.0.0.1", port), timeout=5))
            visitor.sendall(says)
        yield


@pytest.mark.parametrize("says", [b"", HEADER])
def test_connections_do_not_cost_a_thread_each(orb_core, says):
    """Sixty of them, idle or in the middle of a message: the threads stay bounded, and who was there is served."""
    found = orb_core()
    factory = dial(found["IIOP_PORT"])
    assert factory.echo(b"x") == b"x"
    before = threads(found["pid"])
    with visitors(found["IIOP_PORT"], says):
        wait_for(lambda: threads(found["pid"]) > before + int(OWN_THREAD) // 2, what="they are taken in", within_s=10)
        assert factory.echo(b"x") == b"x"
        assert threads(found["pid"]) <= before + int(OWN_THREAD) + int(SHARED) + 2


def test_ready_means_that_calls_are_taken(orb_core):
    """`/ready` says so after it has dialled."""
    found = orb_core()
    assert get(found["PORT"], "/ready") == '{"status":"ok","service":"orb-core","degraded":[]}'
