"""What psycopg2 says is understood, and a connection that waits in a black hole gives up in time."""

import asyncio
import random
import socket
import time

import psycopg2
import psycopg2.errors
import pytest

from services.drivers.postgres import LockTimeout, PoolPolicy, Postgres, PostgresConfig, translate
from services.profiles import LAB
from services.resilience import AttemptTimeout, Deadline, NotSent, OutcomeUnknown, Overloaded


class Said(psycopg2.OperationalError):
    """An error with a code, as the server would send it."""

    def __init__(self, code):
        super().__init__("text")
        self._code = code

    @property
    def pgcode(self):
        """Return the SQLSTATE."""
        return self._code


@pytest.mark.parametrize(
    ("code", "meaning"),
    [
        ("55P03", LockTimeout),
        ("57014", AttemptTimeout),
        ("53300", Overloaded),
        ("40001", NotSent),
        ("40P01", NotSent),
        ("57P01", OutcomeUnknown),
        ("08006", OutcomeUnknown),
        (None, OutcomeUnknown),
        ("25006", Overloaded),
        ("42P01", Overloaded),
        ("42703", Overloaded),
        ("58030", Overloaded),
        ("XX000", Overloaded),
    ],
)
def test_the_sqlstate_decides(code, meaning):
    """Locks, timeouts, overload, rollback, lost connections and a server in trouble are six different things."""
    assert type(translate(Said(code))) is meaning


def test_a_broken_answer_is_a_lost_connection():
    """What libpq cannot read has no SQLSTATE, and nobody knows what was done."""
    assert type(translate(psycopg2.DatabaseError("no message from the libpq"))) is OutcomeUnknown


def test_other_errors_stay_what_they_are():
    """A violated constraint is an answer, and what our own code does wrong is our own."""
    for error in (psycopg2.errors.UniqueViolation(), psycopg2.ProgrammingError("can't adapt"), KeyError()):
        assert translate(error) is error


@pytest.mark.parametrize("greeting", [b"", b"nonsense", b"N", b"R\x00\x00\x00\x08\x00\x00\x00\x63"])
def test_a_server_that_is_no_postgres_was_sent_nothing(greeting):
    """It hangs up, says nonsense, or asks for what libpq does not know: a connection that could not be made."""

    async def story():
        async def greet(_reader, writer):
            writer.write(greeting)
            writer.close()

        async with await asyncio.start_server(greet, "127.0.0.1", 0) as server:
            made = pool(server.sockets[0].getsockname()[1])
            with pytest.raises(NotSent):
                await made.run(lambda _: None, Deadline.after(2, time.monotonic))

    asyncio.run(story())


def pool(port, **policy):
    """Return a pool of one that dials *port*."""
    config = PostgresConfig(host="127.0.0.1", port=port, database="d", user="u", password="p")  # noqa: S106 - nobody checks it
    return Postgres(config, PoolPolicy(size=1, borrow_s=0.1, times=LAB.postgres, **policy), "test", random.Random(1))


def test_a_server_that_never_speaks_is_given_up_in_time():
    """The handshake hangs; the caller's deadline ends it, certain that nothing was sent."""
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        made = pool(silent.getsockname()[1])
        started = time.monotonic()
        with pytest.raises(NotSent):
            asyncio.run(made.run(lambda _: None, Deadline.after(0.2, time.monotonic)))
        assert time.monotonic() - started < 1
        assert made.in_use == 0


def test_nobody_there_means_nothing_was_sent():
    """A refused connection is certain, and gives its place in the pool back."""
    made = pool(1)
    for _ in range(3):
        with pytest.raises(NotSent):
            asyncio.run(made.run(lambda _: None, Deadline.after(1, time.monotonic)))
    assert made.in_use == 0


@pytest.mark.parametrize(("durable", "said"), [(True, "on"), (False, "off")])
def test_every_session_says_whether_a_commit_is_durable(durable, said):
    """A server whose own default is sloppy does not make an acknowledged commit disappear."""
    assert f"-c synchronous_commit={said}" in pool(1, durable=durable)._arguments()["options"]
