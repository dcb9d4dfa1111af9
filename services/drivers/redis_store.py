"""Redis through redis-py, with short timeouts and without its own retries.

redis-py's defaults are five seconds and ten retries: one GET in a black hole takes a minute,
and an INCR can count twice.
"""

# ruff: noqa: ANN401 - the drivers are untyped

import math
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from redis.asyncio import BlockingConnectionPool, Redis
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


class RedisStore:
    """One edge to Redis. Nothing is opened before the first use."""

    def __init__(self, config: RedisConfig, edge: Edge) -> None:
        """Set up the pool with the limits of the edge's policy."""
        self.edge = edge
        self._pool = BlockingConnectionPool(
            host=config.host,
            port=config.port,
            password=config.password or None,
            max_connections=edge.policy.bulkhead.limit,
            timeout=edge.policy.bulkhead.wait_s,
            protocol=2,
            lib_name=None,
            lib_version=None,
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

        async def attempt(_: Deadline) -> T:
            try:
                return await command(self._redis)
            except (RedisError, OSError) as error:
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
    """Return what *error* of redis-py means to a caller; other errors as they are."""
    if isinstance(error, MaxConnectionsError):
        return BulkheadFull("no connection to the cache became free", retry_after=0.1)
    if isinstance(error, BusyLoadingError):
        return Overloaded("the cache is loading", retry_after=1.0)
    if isinstance(error, RedisTimeoutError):
        return AttemptTimeout("no answer from the cache in time")
    if isinstance(error, ResponseError):
        return error
    refused = isinstance(error.__cause__, ConnectionRefusedError) or "Error 111" in str(error)
    return NotSent("the cache cannot be reached") if refused else OutcomeUnknown("the cache was lost")
