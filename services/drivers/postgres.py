"""Postgres through psycopg2: a pool with threads of its own, and what its errors mean."""

# ruff: noqa: ANN401 - the drivers are untyped

import contextlib
import math
import random
import select
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import psycopg2
import psycopg2.extensions as ext
from sqlalchemy import exc as pool_errors
from sqlalchemy.pool import QueuePool

from services.drivers.connecting import Connector
from services.drivers.waiting import bounded, current
from services.drivers.workers import Workers
from services.profiles import PostgresTimes
from services.resilience import (
    AttemptTimeout,
    BulkheadFull,
    Deadline,
    NotSent,
    OutcomeUnknown,
    Overloaded,
    ResilienceError,
    Switches,
    TokenBucket,
)

T = TypeVar("T")
Work = Callable[[ext.connection], T]

NOT_NOW = ("53", "25006", "42P01", "42703", "58", "XX")  # full, a standby, not migrated yet, or broken
UNDONE = ("40",)  # serialization failure, deadlock: rolled back, safe to repeat
CANCELLED = "57014"
LOCKED = "55P03"
SHUT_DOWN = ("57P", "08")
FOREVER_S = 86_400


@dataclass(frozen=True, kw_only=True, slots=True)
class PostgresConfig:
    """Where the server is and who we are there."""

    host: str
    port: int
    database: str
    user: str
    password: str


@dataclass(frozen=True, kw_only=True, slots=True)
class PoolPolicy:
    """The pool's limits and its safeguards. Times in seconds; infinity switches one off."""

    size: int
    borrow_s: float
    times: PostgresTimes
    validate: bool = True
    paced: bool = True
    autocommit_reads: bool = True
    durable: bool = True


class LockTimeout(Exception):  # noqa: N818 - an answer of the server, not a failure of it
    """Another transaction holds the row: nothing was done."""


def pool_policy(times: PostgresTimes, edge: str, size: int, borrow_s: float, switches: Switches) -> PoolPolicy:
    """Return the policy of a pool on *edge*, with what is switched off taken out."""

    def unless_off(safeguard: str, seconds: float) -> float:
        return seconds if switches.on(f"{edge}.{safeguard}") else math.inf

    return PoolPolicy(
        size=size,
        borrow_s=borrow_s,
        times=PostgresTimes(
            statement_s=unless_off("statement_timeout", times.statement_s),
            lock_s=unless_off("lock_timeout", times.lock_s),
            idle_tx_s=unless_off("idle_tx_timeout", times.idle_tx_s),
            connect_s=unless_off("connect_timeout", times.connect_s),
            connects_per_s=times.connects_per_s,
        ),
        validate=switches.on(f"{edge}.pool.validate"),
        paced=switches.on(f"{edge}.reconnect_jitter"),
        autocommit_reads=switches.on(f"{edge}.autocommit_reads"),
        durable=switches.on(f"{edge}.durable_commit"),
    )


class Postgres:
    """A pool of connections with threads of its own. Nothing is opened before the first use."""

    def __init__(self, config: PostgresConfig, policy: PoolPolicy, name: str, rng: random.Random) -> None:
        """Set up the pool; *name* is shown in pg_stat_activity."""
        self._config = config
        self._policy = policy
        self._name = name
        self._workers = Workers(f"pg-{name}", policy.size)
        self._connector = Connector(
            self._dial,
            size=policy.size,
            pace=_pace(policy),
            clock=time.monotonic,
            rng=rng,
        )
        self._pool = QueuePool(
            lambda: self._connector.get(current()),
            pool_size=policy.size,
            max_overflow=0,
            timeout=policy.borrow_s,
            use_lifo=True,
            reset_on_return=None,
        )

    @property
    def in_use(self) -> int:
        """Return the number of connections taken from the pool."""
        return self._pool.checkedout()

    @property
    def opened(self) -> int:
        """Return the number of connections opened so far."""
        return self._connector.opened

    @property
    def failed(self) -> int:
        """Return the number of connections that could not be opened so far."""
        return self._connector.failed

    async def warm(self) -> None:
        """Open connections ahead of the first caller, if the server is there."""
        with contextlib.suppress(ResilienceError):
            await self.run(lambda _: None, Deadline.after(self._policy.times.connect_s, time.monotonic))

    def close(self) -> None:
        """Close what nobody uses."""
        self._pool.dispose()
        self._connector.close()

    async def read(self, work: Work[T], deadline: Deadline) -> T:
        """Run *work*, one statement that changes nothing, in one round trip."""
        wrapped = work if self._policy.autocommit_reads else in_transaction(work)
        return await self.run(wrapped, deadline)

    async def run(self, work: Work[T], deadline: Deadline) -> T:
        """Run *work* with a connection in autocommit mode, on one of our threads."""
        return await self._workers.run(lambda: self._run(work, deadline))

    def _run(self, work: Work[T], deadline: Deadline) -> T:
        with bounded(deadline):
            return self._lend(work)

    def _lend(self, work: Work[T]) -> T:
        fairy = self._borrow()
        try:
            result = work(fairy.dbapi_connection)
        except BaseException as error:
            self._discard_or_return(fairy)
            meaning = translate(error)
            if meaning is error:
                raise
            raise meaning from error
        fairy.close()
        return result

    def _borrow(self) -> Any:
        for _ in range(self._policy.size + 1):
            fairy = self._take()
            if not self._policy.validate or _quiet(fairy.dbapi_connection):
                return fairy
            fairy.invalidate()
            self._sweep()
        message = "every pooled connection was dead"
        raise NotSent(message)

    def _sweep(self) -> None:
        """Throw out every idle connection that is dead, so that it counts as missing and is replaced ahead."""
        idle: Any = self._pool._pool  # noqa: SLF001 - SQLAlchemy shows it nowhere else
        with idle.mutex:  # meanwhile nobody takes one
            for record in idle.queue:
                if record.dbapi_connection is not None and not _quiet(record.dbapi_connection):
                    record.invalidate()

    def _take(self) -> Any:
        try:
            return self._pool.connect()
        except pool_errors.TimeoutError as error:
            message = "no connection became free"
            raise BulkheadFull(message, retry_after=self._policy.borrow_s) from error

    def _discard_or_return(self, fairy: Any) -> None:
        connection = fairy.dbapi_connection
        broken = connection.closed or connection.info.transaction_status != ext.TRANSACTION_STATUS_IDLE
        if broken:
            fairy.invalidate()
        else:
            fairy.close()

    def _dial(self, deadline: Deadline) -> ext.connection:
        with bounded(deadline.within(self._policy.times.connect_s)):
            try:
                connection = psycopg2.connect(**self._arguments())
                connection.autocommit = True
            except psycopg2.Error as error:
                raise _refused(error) from error
            except AttemptTimeout as error:
                message = "no connection in time"
                raise NotSent(message) from error
        return connection

    def _arguments(self) -> dict[str, Any]:
        config, times = self._config, self._policy.times
        settings = {
            "statement_timeout": _milliseconds(times.statement_s),
            "lock_timeout": _milliseconds(times.lock_s),
            "idle_in_transaction_session_timeout": _milliseconds(times.idle_tx_s),
            "synchronous_commit": "on" if self._policy.durable else "off",
        }
        return {
            "host": config.host,
            "port": config.port,
            "dbname": config.database,
            "user": config.user,
            "password": config.password,
            "application_name": self._name,
            "options": " ".join(f"-c {name}={value}" for name, value in settings.items()),
            "keepalives_idle": 5,
            "keepalives_interval": 2,
            "keepalives_count": 3,
        }


def _pace(policy: PoolPolicy) -> TokenBucket | None:
    burst = float(policy.size)
    return TokenBucket(rate=policy.times.connects_per_s, burst=burst, clock=time.monotonic) if policy.paced else None


def in_transaction(work: Work[T]) -> Work[T]:
    """Return *work* between BEGIN and COMMIT; an error in it rolls back."""

    def run(connection: ext.connection) -> T:
        connection.autocommit = False
        try:
            with connection:
                return work(connection)
        finally:
            if not connection.closed:
                connection.autocommit = True

    return run


def translate(error: BaseException) -> BaseException:  # noqa: PLR0911 - a table
    """Return what *error* of psycopg2 means to a caller; other errors as they are."""
    if not isinstance(error, psycopg2.Error):
        return error
    code = error.pgcode or ""
    if code == LOCKED:
        return LockTimeout()
    if code == CANCELLED:
        return AttemptTimeout("statement timeout")
    if code.startswith(NOT_NOW):
        return Overloaded("the database cannot do it now", retry_after=1.0)
    if code.startswith(UNDONE):
        return NotSent("the transaction was rolled back by the server")
    ours = isinstance(error, psycopg2.ProgrammingError | psycopg2.DataError | psycopg2.IntegrityError)
    if code.startswith(SHUT_DOWN) or not (code or ours):
        return OutcomeUnknown("the connection was lost")
    return error


def _refused(error: psycopg2.Error) -> NotSent | Overloaded:
    # While connecting libpq gives no SQLSTATE, only the server's text.
    text = str(error)
    if "too many clients" in text or "remaining connection slots" in text:
        return Overloaded("the database takes no more connections", retry_after=1.0)
    return NotSent("the database cannot be reached")


def _quiet(connection: ext.connection) -> bool:
    """Tell whether an idle connection is silent, as it must be: a dead one has an end to read."""
    if connection.closed:
        return False
    poller = select.poll()
    poller.register(connection.fileno(), select.POLLIN | select.POLLRDHUP)
    return not poller.poll(0)


def _milliseconds(seconds: float) -> int:
    return 0 if math.isinf(seconds) else int(min(seconds, FOREVER_S) * 1000)
