"""Revoked tokens, copied from Redis often enough, and what is done when that fails."""

# ruff: noqa: ANN401 - the driver is untyped

import asyncio
import contextlib
import math
import time
from typing import Any

from services.drivers.redis_store import RedisStore
from services.resilience import Clock, Deadline, ResilienceError
from services.web.problems import Problem
from services.web.tokens import Principal, unauthorized

REVOCATIONS = "revocations"
MARK = "revocations:complete"
ROUND_S = 1.0


class Revocations:
    """What is revoked, as of the last complete copy.

    A revoked token can be used until the next copy arrives. Without fresh copies reading
    goes on, but after the grace, and before the first copy, nothing that changes something
    is let through. A copy is as old as what was published: the mark in Redis says when the
    security service read the record, by a clock that must agree with ours as for tokens.
    """

    def __init__(
        self,
        redis: RedisStore,
        *,
        pause_s: float,
        grace_s: float,
        enforce_grace: bool = True,
        clock: Clock = time.monotonic,
        wall: Clock = time.time,
    ) -> None:
        """Copy every *pause_s* seconds; *wall* gives the seconds since 1970."""
        self._redis = redis
        self._pause_s = pause_s
        self._grace_s = grace_s
        self._enforce_grace = enforce_grace
        self._clock = clock
        self._wall = wall
        self._synced_at = -math.inf
        self._not_before: dict[str, float] = {}

    def check(self, principal: Principal, *, changes: bool) -> None:
        """Raise the 401 problem for a revoked token, 503 for a change beyond the grace."""
        subjects = (f"jti:{principal.token_id}", f"sub:{principal.user_id}")
        if any(self._not_before.get(subject, 0.0) >= principal.issued_at for subject in subjects):
            raise unauthorized("token-revoked", "the token was revoked")
        if changes and self._enforce_grace and self.stale():
            headers = {"retry-after": "1", "x-degraded": self._redis.edge.name}
            raise Problem(503, "revocations-unknown", headers=headers, outcome="not-done")

    def stale(self) -> bool:
        """Tell whether what was last copied is older than the grace."""
        return self.age_s() > self._grace_s

    def age_s(self) -> float:
        """Return the seconds since the security service read what was last copied; infinite before."""
        return self._clock() - self._synced_at

    async def run(self) -> None:
        """Copy for ever."""
        while True:
            with contextlib.suppress(ResilienceError):  # the edge counts it; `stale` tells in the end
                await self.sync()
            await asyncio.sleep(self._pause_s)

    async def sync(self) -> None:
        """Copy once; a Redis without the mark has lost its data, and is no copy."""
        started, moment = self._clock(), self._wall()
        deadline = Deadline.after(ROUND_S, time.monotonic)

        async def copy(redis: Any) -> tuple[Any, Any]:
            pipeline = redis.pipeline(transaction=False)
            pipeline.get(MARK)
            pipeline.zrangebyscore(REVOCATIONS, moment, "+inf")
            mark, members = await pipeline.execute()
            return mark, members

        mark, members = await self._redis.ask(copy, deadline, safe=True)
        if mark is None:
            return
        self._synced_at = started - max(0.0, moment - float(mark))
        self._not_before = _newest(members)


def _newest(members: list[bytes]) -> dict[str, float]:
    found: dict[str, float] = {}
    for member in members:
        subject, _, text = member.decode().rpartition("|")
        found[subject] = max(found.get(subject, 0.0), float(text))
    return found
