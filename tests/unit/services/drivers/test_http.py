"""HTTP calls end in time, tell a lost answer from none, and never pass half a body on."""

import asyncio
import contextlib
import json
import time

import pytest

from services.drivers.http import Call, Upstream
from services.resilience import AttemptTimeout, BreakerPolicy, Deadline, NotSent, OutcomeUnknown, RetryPolicy
from tests.unit.services.fakes import edge

GOOD = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"
CUT = b"HTTP/1.1 200 OK\r\ncontent-length: 200\r\n\r\nhalf"
BUSY = b"HTTP/1.1 503 Busy\r\nretry-after: 1\r\ncontent-length: 0\r\n\r\n"
RETRYING = {"retry": RetryPolicy(attempts=3, base_s=0.001, cap_s=0.002)}


def refusal(outcome, **headers):
    """Return a 503 that says what became of the request."""
    body = json.dumps({"outcome": outcome}).encode()
    lines = [f"{name.replace('_', '-')}: {value}" for name, value in {**headers, "content-length": len(body)}.items()]
    return "\r\n".join(["HTTP/1.1 503 Busy", *lines, "", ""]).encode() + body


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
                return await upstream.call(call, Deadline.after(0.9, time.monotonic)), seen
            finally:
                over.set()
                await upstream.close()
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
    assert 100 < int(seen[0].split("x-deadline-ms: ")[1].split()[0]) <= 900


def test_without_propagation_the_deadline_stays_here(ask):
    """With `deadline.propagate` off nobody behind knows how much time is left."""
    assert "x-deadline-ms" not in ask(GOOD, propagate=False)[1][0]


def test_half_a_body_is_not_an_answer(ask):
    """A truncated body is an unknown outcome; with `body_integrity` off it passes as an answer."""
    with pytest.raises(OutcomeUnknown):
        ask(CUT)
    assert ask(CUT, integrity=False)[0].body == b"half"


@pytest.mark.parametrize("declared", [b"content-length: 64\r\n", b""], ids=["declared", "until it ends"])
@pytest.mark.parametrize("integrity", [True, False])
def test_an_answer_without_end_is_none(ask, monkeypatch, declared, integrity):
    """What is longer than any answer we know is given up, not collected; one that just fits is an answer."""
    monkeypatch.setattr("services.drivers.http.MAX_ANSWER", 64)
    head = b"HTTP/1.1 200 OK\r\n"
    assert len(ask(head + declared + b"\r\n" + b"x" * 64, integrity=integrity)[0].body) == 64
    with pytest.raises(OutcomeUnknown, match="longer than"):
        ask(head + declared.replace(b"64", b"65") + b"\r\n" + b"x" * 65, integrity=integrity)


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


def test_a_refusal_of_unknown_outcome_is_not_repeated(ask):
    """The service does not say that nothing was done: only what is idempotent may be sent again."""
    mute = b"HTTP/1.1 503 Busy\r\nretry-after: 0\r\ncontent-length: 2\r\n\r\n[]"
    for reply in (refusal("unknown", retry_after=0), mute):
        answer, seen = ask(reply, **RETRYING)
        assert (answer.status, len(seen)) == (503, 1)
    answer, seen = ask(refusal("unknown", retry_after_ms=1), safe=True, **RETRYING)
    assert (answer.status, len(seen)) == (503, 3)


@pytest.mark.parametrize("body", [b"{", b"\xff", b"[" * 100_000, b"null", b"1" * 5000])
def test_a_refusal_that_nobody_can_read_promises_nothing(ask, body):
    """Broken, not UTF-8, endlessly deep: it is passed on as it came, and was perhaps done."""
    head = f"HTTP/1.1 503 Busy\r\nretry-after: 0\r\ncontent-length: {len(body)}\r\n\r\n".encode()
    answer, seen = ask(head + body, **RETRYING)
    assert (answer.status, answer.body, len(seen)) == (503, body, 1)


def test_what_was_certainly_not_done_is_repeated_within_the_time_there_is(ask):
    """A hint in milliseconds is short enough to come back; one of a whole second is not."""
    answer, seen = ask(refusal("not-done", retry_after=1, retry_after_ms=5), **RETRYING)
    assert (answer.status, len(seen)) == (503, 3)
    assert len(ask(refusal("not-done", retry_after=1), **RETRYING)[1]) == 1
    assert len(ask(refusal("not-done", retry_after=1, retry_after_ms="soon"), **RETRYING)[1]) == 1


def test_refusals_of_unknown_outcome_leave_the_breaker_closed(ask):
    """A service that answers quickly is well, whatever its own dependency has done to the request."""
    policy = {"breaker": BreakerPolicy(consecutive=1), "ignore_overload": True, **RETRYING}
    assert len(ask(refusal("unknown", retry_after_ms=1), safe=True, **policy)[1]) == 3


def test_nobody_there_means_nothing_was_sent():
    """A refused connection is certain."""

    async def story():
        upstream = Upstream("http://127.0.0.1:1", edge())
        try:
            await upstream.call(Call(method="POST", path="/", headers={}), Deadline.after(1, time.monotonic))
        finally:
            await upstream.close()

    with pytest.raises(NotSent):
        asyncio.run(story())


def test_a_kept_connection_that_is_cut_is_no_second_request():
    """A repeat is for the retry budget to allow: the HTTP library itself sends no idempotent request again."""
    seen = []

    async def answer(reader, writer):
        for reply in (GOOD, b""):
            seen.append(await reader.readuntil(b"\r\n\r\n"))
            writer.write(reply)
        writer.close()

    async def story():
        server = await asyncio.start_server(answer, "127.0.0.1", 0)
        upstream = Upstream(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", edge(), integrity=True)
        try:
            for expected in (contextlib.nullcontext(), pytest.raises(OutcomeUnknown)):
                with expected:
                    await upstream.call(Call(method="GET", path="/", headers={}), Deadline.after(1, time.monotonic))
        finally:
            await upstream.close()
            server.close()

    asyncio.run(story())
    assert len(seen) == 2
