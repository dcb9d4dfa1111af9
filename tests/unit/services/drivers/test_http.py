"""HTTP calls end in time, tell a lost answer from none, and never pass half a body on."""

import asyncio
import time

import pytest

from services.drivers.http import Call, Upstream
from services.resilience import AttemptTimeout, Deadline, NotSent, OutcomeUnknown
from tests.unit.services.fakes import edge

GOOD = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"
CUT = b"HTTP/1.1 200 OK\r\ncontent-length: 200\r\n\r\nhalf"
BUSY = b"HTTP/1.1 503 Busy\r\nretry-after: 1\r\ncontent-length: 0\r\n\r\n"


@pytest.fixture
def ask():
    def ask(reply, *, integrity=True, safe=False, **policy):
        """Send one request to a server that reads it, says *reply* and hangs up; None: says nothing."""
        seen, served, over = [], [], asyncio.Event()

        async def answer(reader, writer):
            served.append(asyncio.current_task())
            seen.append((await reader.readuntil(b"\r\n\r\n")).decode().lower())
            if reply is None:
                await over.wait()
            writer.write(reply or b"")
            writer.close()

        async def story():
            server = await asyncio.start_server(answer, "127.0.0.1", 0)
            port = server.sockets[0].getsockname()[1]
            upstream = Upstream(f"http://127.0.0.1:{port}", edge(**policy), integrity=integrity)
            call = Call(method="GET", path="/a%2Fb?c=d", headers={"x-a": "b"}, safe=safe)
            try:
                return await upstream.call(call, Deadline.after(0.3, time.monotonic)), seen
            finally:
                over.set()
                await upstream._session.close()
                await asyncio.gather(*served)
                server.close()

        return asyncio.run(story())

    return ask


def test_a_complete_answer(ask):
    """Path, query and headers arrive as they are, with the time that is left."""
    answer, seen = ask(GOOD)
    assert (answer.status, answer.body) == (200, b"ok")
    assert seen[0].startswith("get /a%2fb?c=d ")
    assert "x-a: b" in seen[0]
    assert "x-deadline-ms: 2" in seen[0]


def test_without_propagation_the_deadline_stays_here(ask):
    """With `deadline.propagate` off nobody behind knows how much time is left."""
    assert "x-deadline-ms" not in ask(GOOD, propagate=False)[1][0]


def test_half_a_body_is_not_an_answer(ask):
    """A truncated body is an unknown outcome; with `body_integrity` off it passes as an answer."""
    with pytest.raises(OutcomeUnknown):
        ask(CUT)
    assert ask(CUT, integrity=False)[0].body == b"half"


def test_a_lost_answer_is_unknown(ask):
    """The connection closed without a word: it may have been done."""
    with pytest.raises(OutcomeUnknown):
        ask(b"")


def test_silence_ends_with_the_deadline(ask):
    """Nobody waits longer than he has."""
    started = time.monotonic()
    with pytest.raises(AttemptTimeout):
        ask(None)
    assert time.monotonic() - started < 2


def test_push_back_is_an_answer_in_the_end(ask):
    """A 503 that is not retried reaches the caller as it came."""
    answer, _ = ask(BUSY)
    assert (answer.status, answer.headers["retry-after"]) == (503, "1")


def test_nobody_there_means_nothing_was_sent():
    """A refused connection is certain."""

    async def story():
        upstream = Upstream("http://127.0.0.1:1", edge())
        try:
            await upstream.call(Call(method="POST", path="/", headers={}), Deadline.after(1, time.monotonic))
        finally:
            await upstream._session.close()

    with pytest.raises(NotSent):
        asyncio.run(story())
