"""Redis is given up in time, when it is silent and when it takes nothing any more."""

import asyncio
import contextlib
import socket
import struct
import time

import pytest
import uvloop

from services.drivers.redis_store import RedisConfig, RedisStore
from services.resilience import AttemptTimeout, Deadline, NotSent, OutcomeUnknown, Overloaded
from tests.unit.services.fakes import edge

BEYOND_ALL_BUFFERS = b"x" * 64 * 1024 * 1024


async def asking(port, command, seconds=5.0, **policy):
    """Run one command on an edge whose attempts end after a twentieth of a second."""
    store = RedisStore(RedisConfig(host="127.0.0.1", port=port, password=""), edge(**{"attempt_s": 0.05, **policy}))
    try:
        return await store.ask(command, Deadline.after(seconds, time.monotonic))
    finally:
        await store._redis.aclose(close_connection_pool=True)


@pytest.mark.parametrize(
    "command", [lambda redis: redis.get("x"), lambda redis: redis.set("x", BEYOND_ALL_BUFFERS)], ids=["read", "write"]
)
def test_a_server_that_does_nothing_is_given_up(command):
    """It never answers, or never reads: the attempt ends, and may have had its effect."""
    started = time.monotonic()
    with pytest.raises(AttemptTimeout):
        asyncio.run(against(None, lambda port: asking(port, command)))
    assert time.monotonic() - started < 2


@pytest.mark.parametrize("bound", [{"seconds": 0.1}, {"total_s": 0.1}], ids=["of the request", "of the edge"])
def test_the_deadline_ends_an_attempt_that_has_more_time(bound):
    """What is left for the request, or for all attempts together, is all that one attempt gets."""
    started = time.monotonic()
    with pytest.raises(AttemptTimeout):
        asyncio.run(against(None, lambda port: asking(port, lambda redis: redis.get("x"), attempt_s=30.0, **bound)))
    assert time.monotonic() - started < 2


def test_a_connection_that_was_given_up_is_not_used_again():
    """The late answer to one question is not taken for the answer to the next."""

    async def story(port):
        store = RedisStore(RedisConfig(host="127.0.0.1", port=port, password=""), edge(attempt_s=0.05))
        for key in "ab":
            with pytest.raises(AttemptTimeout):
                await store.ask(lambda redis, key=key: redis.get(key), Deadline.after(5, time.monotonic))
            assert not any(connection.is_connected for connection in store._pool._available_connections)
        await store._redis.aclose(close_connection_pool=True)

    asyncio.run(against(None, story))


@pytest.mark.parametrize(
    "reply",
    [
        "OOM command not allowed when used memory > 'maxmemory'",
        "MISCONF Redis is configured to save RDB snapshots",
        "READONLY You can't write against a read only replica",
        "BUSY Redis is busy running a script",
        "NOPERM this user has no permissions",
    ],
)
def test_a_server_that_refuses_is_a_cache_that_does_not_work(reply):
    """An error reply is a failure like others: nobody's request becomes an internal error for it."""
    with pytest.raises(Overloaded):
        asyncio.run(against(f"-{reply}\r\n".encode(), lambda port: asking(port, lambda redis: redis.set("x", "y"))))


async def against(reply, story):
    """Run *story* with the port of a server that answers *reply* to each command; None: it does nothing."""
    over, served = asyncio.Event(), []

    async def answer(reader, writer):
        served.append(asyncio.current_task())
        while reply and await reader.read(65536):
            writer.write(reply)
        if not reply:
            await over.wait()
        writer.transport.abort()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    try:
        return await story(server.sockets[0].getsockname()[1])
    finally:
        over.set()
        await asyncio.gather(*served)
        server.close()


@pytest.mark.parametrize("loop", [asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"])
def test_an_idle_connection_that_was_reset_is_replaced(loop):
    """The next command goes over a new one, and succeeds."""

    async def story():
        async with resetting() as (port, reset):
            store = RedisStore(RedisConfig(host="127.0.0.1", port=port, password=""), edge(attempt_s=5.0))
            assert await store.ask(lambda redis: redis.get("x"), Deadline.after(5, time.monotonic)) == b"OK"
            [connection] = store._pool._available_connections
            await reset()
            await gone(connection)
            assert await store.ask(lambda redis: redis.get("x"), Deadline.after(5, time.monotonic)) == b"OK"
            await store._redis.aclose(close_connection_pool=True)

    with asyncio.Runner(loop_factory=loop) as runner:
        runner.run(story())


def test_a_reset_in_the_middle_of_a_pipeline_is_a_lost_connection():
    """The `RuntimeError` with which uvloop refuses to write on it is for nobody else's ears."""

    async def story():
        async with resetting() as (port, reset):
            store = RedisStore(RedisConfig(host="127.0.0.1", port=port, password=""), edge(attempt_s=5.0))

            async def twice(redis):
                connection = await redis.connection_pool.get_connection()
                await reset()
                await gone(connection)
                await connection.send_command("GET", "x")

            with pytest.raises(OutcomeUnknown):
                await store.ask(twice, Deadline.after(5, time.monotonic))
            await store._redis.aclose(close_connection_pool=True)

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(story())


@pytest.mark.parametrize("reply", [b":many\r\n", b"*x\r\n", b"?\r\n"])
def test_nonsense_is_a_lost_connection(reply):
    """What is no answer of Redis at all is no internal error either."""
    with pytest.raises(OutcomeUnknown):
        asyncio.run(against(reply, lambda port: asking(port, lambda redis: redis.get("x"))))


@contextlib.asynccontextmanager
async def resetting():
    """Serve a Redis that says OK to everything; yields its port, and what resets all connections."""
    writers = []

    async def answer(reader, writer):
        writers.append(writer)
        with contextlib.suppress(ConnectionError):
            while await reader.read(65536):
                writer.write(b"+OK\r\n")

    async def reset():
        while writers:
            writer = writers.pop()
            writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            writer.transport.abort()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1], reset
    finally:
        await reset()
        server.close()


async def gone(connection):
    """Return when the client's end of *connection* has heard of the reset."""
    with pytest.raises(ConnectionError):
        await connection._reader.read()


def test_nobody_there_means_nothing_was_sent():
    """A refused connection is certain."""
    with pytest.raises(NotSent):
        asyncio.run(asking(1, lambda redis: redis.get("x")))
