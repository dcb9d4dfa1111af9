"""Redis through redis-py, with short timeouts and without its own retries.

redis-py's defaults are five seconds and ten retries: one GET in a black hole takes a minute,
and an INCR can count twice.
"""

# ruff: noqa: ANN401 - the drivers are untyped

import asyncio
import math
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from redis.asyncio import BlockingConnectionPool, Connection, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import BusyLoadingError, MaxConnectionsError, RedisError, ResponseError
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError

from services.resilience import (
    AttemptTimeout,
    BulkheadFull,
    Deadline,
    DependencyFailed,
    Edge,
    NotSent,
    OutcomeUnknown,
    Overloaded,
    Rejected,
)

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True, slots=True)
class RedisConfig:
    """Where the server is."""

    host: str
    port: int
    password: str


class _Connection(Connection):
    """A connection that sends without making a task for it, and knows when it was reset.

    redis-py bounds each send with `asyncio.wait_for`, which costs as much as the send itself and
    on Python 3.11 swallows cancellations (https://github.com/python/cpython/issues/86296).
    """

    async def can_read(self) -> bool:
        """Tell the pool whether this needs replacing: redis-py sees an end of the stream, but not a reset."""
        reader = self._reader
        return bool(reader and reader.exception()) or await super().can_read()

    async def send_packed_command(self, command: Any, check_health: bool = True) -> None:  # noqa: FBT001, FBT002
        """Send within the socket timeout, or raise redis-py's own error."""
        if not self.is_connected:
            await self.connect_check_health(check_health=False)
        seconds, self.socket_timeout = self.socket_timeout, None
        try:
            async with asyncio.timeout(seconds):
                await super().send_packed_command(command, check_health=check_health)
        except TimeoutError:
            raise RedisTimeoutError from None
        except RuntimeError as error:  # uvloop's word for a connection that is closed already
            raise RedisConnectionError from error
        finally:
            self.socket_timeout = seconds


class RedisStore:
    """One edge to Redis. Nothing is opened before the first use."""

    def __init__(self, config: RedisConfig, edge: Edge) -> None:
        """Set up the pool with the limits of the edge's policy."""
        self.edge = edge
        self._pool = BlockingConnectionPool(
            connection_class=_Connection,
            host=config.host,
            port=config.port,
            password=config.password or None,
            max_connections=edge.policy.bulkhead.limit,
            timeout=edge.policy.bulkhead.wait_s,
            protocol=2,
            driver_info=None,
            **_timeouts(edge),
        )
        self._redis = Redis(connection_pool=self._pool)

    @property
    def in_use(self) -> int:
        """Return the number of connections taken from the pool."""
        return len(self._pool._in_use_connections)  # noqa: SLF001 - redis-py shows it nowhere else

    def script(self, source: str) -> Any:
        """Return *source* as a script to be called with `keys`, `args`."""
        return self._redis.register_script(source)

    async def ask(self, command: Callable[[Redis], Awaitable[T]], deadline: Deadline, *, safe: bool = False) -> T:
        """Run *command* with a client; safe: repeating it does no harm."""

        async def attempt(deadline: Deadline) -> T:
            left = deadline.remaining()
            try:
                # redis-py's own timeouts are for one round trip: connecting, and pipelines, are several.
                async with asyncio.timeout(None if math.isinf(left) else left):
                    return await command(self._redis)
            except (RedisError, OSError, ValueError) as error:  # redis-py: nonsense where a number should be
                raise translate(error) from error

        return await self.edge.call(attempt, deadline=deadline, safe=safe)

    async def try_ask(
        self, command: Callable[[Redis], Awaitable[T]], deadline: Deadline, *, safe: bool = False
    ) -> T | None:
        """Run *command* like `ask`, and return None when Redis does not answer."""
        try:
            return await self.ask(command, deadline, safe=safe)
        except (DependencyFailed, Rejected):
            return None


def _timeouts(edge: Edge) -> dict[str, Any]:
    attempt = edge.policy.attempt_s
    if math.isinf(attempt):
        return {"retry": Redis(single_connection_client=False).get_retry()}  # the library's own
    retries = 0 if edge.policy.retry.classify else 10
    return {
        "socket_timeout": attempt,
        "socket_connect_timeout": attempt,
        "retry": Retry(NoBackoff(), retries),
        "retry_on_error": [RedisConnectionError] if retries else [],
    }


def translate(error: Exception) -> Exception:
    """Return what *error* of redis-py means to a caller."""
    if isinstance(error, MaxConnectionsError):
        return BulkheadFull("no connection to the cache became free", retry_after=0.1)
    if isinstance(error, BusyLoadingError):
        return Overloaded("the cache is loading", retry_after=1.0)
    if isinstance(error, RedisTimeoutError | TimeoutError):
        return AttemptTimeout("no answer from the cache in time")
    if isinstance(error, ResponseError):  # out of memory, read-only, cannot save, not permitted
        return Overloaded(f"the cache refused: {error}", retry_after=1.0)
    refused = isinstance(error.__cause__, ConnectionRefusedError) or "Error 111" in str(error)
    return NotSent("the cache cannot be reached") if refused else OutcomeUnknown("the cache was lost")
