"""The cache of widgets in Redis: optional, versioned, bounded in age."""

# ruff: noqa: ANN401 - rows and CORBA objects are untyped

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from services.drivers.redis_store import RedisStore
from services.resilience import Deadline
from services.widget_core.model import Row

PREFIX = "widget:"
MAX_OWED = 10_000
FOREVER_S = 10 * 365 * 86_400

# Value: "<version> <unix ms> <state> <json>". A value never gives way to an older version.
PUT_NEWER = """
local old = redis.call('GET', KEYS[1])
if old and tonumber(string.match(old, '^(%d+)')) > tonumber(ARGV[1]) then return 0 end
redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
return 1
"""


@dataclass(frozen=True, kw_only=True, slots=True)
class Cached:
    """A cached widget and its age in seconds; `row` is None for one that was deleted."""

    row: Row | None
    version: int
    age_s: float


@dataclass(frozen=True, kw_only=True, slots=True)
class CachePolicy:
    """How long a value lives, and whether writes compare versions. Times in seconds."""

    hard_ttl_s: float
    expire: bool = True
    versioned: bool = True


class WidgetCache:
    """Get and put widgets. What could not be put is owed, and put later."""

    def __init__(self, store: RedisStore, policy: CachePolicy, wall: Callable[[], float] = time.time) -> None:
        """Use *store*; *wall* gives the seconds since 1970, for ages between processes."""
        self.store = store
        self._policy = policy
        self._wall = wall
        self._put_newer = store.script(PUT_NEWER)
        self.owed: dict[str, tuple[int, str]] = {}

    async def get(self, wid: str, deadline: Deadline) -> tuple[bool, Cached | None]:
        """Return whether the cache answered, and what it knows."""
        answered = await self.store.try_ask(lambda redis: _get(redis, PREFIX + wid), deadline, safe=True)
        if answered is None:
            return False, None
        return True, self._decode(wid, answered[0])

    async def put(self, row: Row, deadline: Deadline) -> None:
        """Cache a widget."""
        await self._put(row.id, row.version, f"{row.state} {row.body}", deadline)

    async def bury(self, wid: str, version: int, deadline: Deadline) -> None:
        """Note that a widget was deleted, so that no late writer brings it back."""
        await self._put(wid, version, "gone ", deadline)

    async def settle(self, deadline: Deadline) -> None:
        """Put what is owed from a time when the cache could not be reached."""
        for wid, (version, rest) in list(self.owed.items()):
            if not await self._send(wid, version, rest, deadline):
                return
            if self.owed.get(wid) == (version, rest):
                del self.owed[wid]

    async def _put(self, wid: str, version: int, rest: str, deadline: Deadline) -> None:
        if await self._send(wid, version, rest, deadline):
            self.owed.pop(wid, None)
        elif len(self.owed) < MAX_OWED:
            self.owed[wid] = (version, rest)

    async def _send(self, wid: str, version: int, rest: str, deadline: Deadline) -> bool:
        value = f"{version} {int(self._wall() * 1000)} {rest}"
        life = int((self._policy.hard_ttl_s if self._policy.expire else FOREVER_S) * 1000)
        key = PREFIX + wid

        async def put(redis: Any) -> bool:
            if self._policy.versioned:
                await self._put_newer(keys=[key], args=[version, value, life])
            else:
                await redis.set(key, value, px=life)
            return True

        return await self.store.try_ask(put, deadline) is not None

    def _decode(self, wid: str, value: bytes | None) -> Cached | None:
        if value is None:
            return None
        version, at, state, body = value.decode().split(" ", 3)
        row = None if state == "gone" else Row(id=wid, version=int(version), state=state, body=body)
        return Cached(row=row, version=int(version), age_s=max(0.0, self._wall() - int(at) / 1000))


async def _get(redis: Any, key: str) -> tuple[bytes | None]:
    return (await redis.get(key),)
