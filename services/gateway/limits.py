"""Rate limits: counted together in Redis, by each instance for itself while Redis is away."""

# ruff: noqa: ANN401 - the driver is untyped

import time
from dataclasses import dataclass
from typing import Any

from services.drivers.redis_store import RedisStore
from services.resilience import Deadline, DependencyFailed, KeyedBuckets, RateLimited, Rejected

COUNT = """
local n = redis.call('INCR', KEYS[1])
if n == 1 then redis.call('PEXPIRE', KEYS[1], ARGV[1]) end
return n
"""


@dataclass(frozen=True, kw_only=True, slots=True)
class LimitPolicy:
    """So many requests per window of so many seconds."""

    name: str
    most: float
    window_s: float
    enabled: bool = True
    local_fallback: bool = True


class Limit:
    """One limit for many clients."""

    def __init__(self, redis: RedisStore, policy: LimitPolicy) -> None:
        """Count in *redis*."""
        self._redis = redis
        self._policy = policy
        self._count = redis.script(COUNT)
        self.refused = 0
        self.local = 0
        self._local = KeyedBuckets(rate=policy.most / policy.window_s, burst=policy.most, clock=time.monotonic)

    async def check(self, client: str, deadline: Deadline) -> None:
        """Count one request of *client*, or raise `RateLimited`."""
        if not self._policy.enabled:
            return
        try:
            allowed = await self._count_in_redis(client, deadline) <= self._policy.most
        except (DependencyFailed, Rejected):
            if not self._policy.local_fallback:
                raise
            self.local += 1
            allowed = self._local.of(client).take()
        if not allowed:
            self.refused += 1
            message = "too many requests"
            raise RateLimited(message, retry_after=self._policy.window_s)

    async def _count_in_redis(self, client: str, deadline: Deadline) -> int:
        window = int(time.time() / self._policy.window_s)
        key = f"limit:{self._policy.name}:{client}:{window}"
        life = int(self._policy.window_s * 2000)

        async def count(_: Any) -> int:
            return int(await self._count(keys=[key], args=[life]))

        return await self._redis.ask(count, deadline)
