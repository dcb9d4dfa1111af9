"""The cache of widgets in Redis: optional, versioned, bounded in age."""

# ruff: noqa: ANN401 - rows and CORBA objects are untyped

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from services import plants
from services.drivers.redis_store import RedisStore
from services.resilience import Deadline
from services.widget_core.model import STATES, Row

PREFIX = "widget:"
MAX_OWED = 10_000
FOREVER_S = 10 * 365 * 86_400

RANKS = ", ".join(f"{state} = {rank}" for rank, state in enumerate(STATES))
# Value: "<version> <unix ms> <state> <json>". A value never gives way to an older version, nor
# to an earlier state of its own.
PUT_NEWER = f"""
local function order(value)
    local version, state = string.match(value, '^(%d+) %d+ (%a+)')
    return (tonumber(version) or -1) * {len(STATES)} + (({{ {RANKS} }})[state] or 0)
end
local old = redis.call('GET', KEYS[1])
if old and order(old) > order(ARGV[1]) then return 0 end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 1
"""


@dataclass(frozen=True, kw_only=True, slots=True)
class Cached:
    """A cached widget and its age in seconds."""

    row: Row
    age_s: float


@dataclass(frozen=True, kw_only=True, slots=True)
class CachePolicy:
    """How long a value lives, whether writes compare versions, and whether one that failed is made up for.

    Times in seconds.
    """

    hard_ttl_s: float
    expire: bool = True
    versioned: bool = True
    put_later: bool = True


class WidgetCache:
    """Get and put widgets. What could not be put is owed, and put later."""

    def __init__(self, store: RedisStore, policy: CachePolicy, wall: Callable[[], float] = time.time) -> None:
        """Use *store*; *wall* gives the seconds since 1970, for ages between processes."""
        self.store = store
        self._policy = policy
        self._wall = wall
        self._put_newer = store.script(PUT_NEWER)
        self.owed: dict[str, Row] = {}

    async def get(self, wid: str, deadline: Deadline) -> tuple[bool, Cached | None]:
        """Return whether the cache answered, and what it knows."""
        answered = await self.store.try_ask(lambda redis: _get(redis, PREFIX + wid), deadline, safe=True)
        if answered is None:
            return False, None
        return True, self._decode(wid, answered[0])

    async def put(self, row: Row, deadline: Deadline) -> None:
        """Cache a widget."""
        await plants.dawdle(plants.LATE_PUT)
        await self._put(row, deadline)

    def owe(self, row: Row) -> None:
        """Cache a widget later."""
        if not self._policy.put_later:
            return
        known = self.owed.get(row.id)
        if known.order <= row.order if known else len(self.owed) < MAX_OWED:
            self.owed[row.id] = row

    async def bury(self, wid: str, version: int, deadline: Deadline) -> None:
        """Note that a widget was deleted, so that no late writer brings it back."""
        await self._put(Row(id=wid, version=version, state="gone", body=""), deadline)

    async def settle(self, deadline: Deadline) -> None:
        """Put what is owed from a time when the cache could not be reached."""
        for wid, row in list(self.owed.items()):
            if not await self._send(row, deadline):
                return
            if self.owed.get(wid) is row:
                del self.owed[wid]

    async def _put(self, row: Row, deadline: Deadline) -> None:
        if await self._send(row, deadline):
            self.owed.pop(row.id, None)
        else:
            self.owe(row)

    async def _send(self, row: Row, deadline: Deadline) -> bool:
        value = f"{row.version} {int(self._wall() * 1000)} {row.state} {row.body}"
        life = int((self._policy.hard_ttl_s if self._policy.expire else FOREVER_S) * 1000)
        key = PREFIX + row.id

        async def put(redis: Any) -> bool:
            if self._policy.versioned:
                await self._put_newer(keys=[key], args=[value, life])
            else:
                await redis.set(key, value, px=life)
            return True

        return await self.store.try_ask(put, deadline) is not None

    def _decode(self, wid: str, value: bytes | None) -> Cached | None:
        """Return what was cached, None when that is not one of ours."""
        if value is None:
            return None
        try:
            version, at, state, body = value.decode().split(" ", 3)
            row = Row(id=wid, version=int(version), state=state, body=body)
            age_s = max(0.0, self._wall() - int(at) / 1000)
        except (ValueError, OverflowError):
            return None
        return Cached(row=row, age_s=age_s) if state in STATES else None


async def _get(redis: Any, key: str) -> tuple[bytes | None]:
    return (await redis.get(key),)
