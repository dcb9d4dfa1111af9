"""Reading one widget: cache, then the record, then whatever is known, within bounds."""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from services.resilience import Deadline, DependencyFailed, Rejected, Shed, SingleFlight, StaleCache, TokenBucket
from services.widget_core.cache import Cached, WidgetCache
from services.widget_core.model import NotFoundError, Row, order
from services.widget_core.record import Record

Served = Callable[[str, float], None]
"""Hear what the cache said of a read, and the age of the answer in seconds."""


class Source(StrEnum):
    """Where an answer came from, as `X-Cache` says."""

    HIT = "hit"
    MISS = "miss"
    STALE = "stale"
    BYPASS = "bypass"


@dataclass(frozen=True, kw_only=True, slots=True)
class Found:
    """A widget, where it came from, and its age in seconds."""

    row: Row
    source: Source
    age_s: float = 0.0


@dataclass(frozen=True, kw_only=True, slots=True)
class ReadPolicy:
    """The safeguards of reading. Times in seconds."""

    soft_ttl_s: float
    hard_ttl_s: float
    cache: bool = True
    expire: bool = True
    local: bool = True
    versioned: bool = True
    stale_if_error: bool = True
    single_flight: bool = True
    capped: bool = True
    min_version: bool = True


class Reader:
    """Read widgets, and remember what was read and written."""

    def __init__(
        self, record: Record, cache: WidgetCache, policy: ReadPolicy, cap: TokenBucket, served: Served
    ) -> None:
        """*cap* rations the reads that go past a cache that does not answer; *served* hears of each answer."""
        self._record = record
        self._cache = cache
        self._policy = policy
        self._cap = cap
        self._served = served
        self.rationed = 0
        self.flights: SingleFlight[Row] = SingleFlight(enabled=policy.single_flight)
        self._local: StaleCache[Row] = StaleCache(
            size=10_000,
            hard_ttl_s=policy.hard_ttl_s if policy.expire else math.inf,
            clock=time.monotonic,
            versioned=policy.versioned,
        )

    async def get(self, wid: str, deadline: Deadline, min_version: int = 0) -> Found:
        """Return the widget at *min_version* or later, or raise `NotFoundError`."""
        wanted = order(min_version) if self._policy.min_version else 0
        answered, cached = await self._ask_cache(wid, deadline)
        floor = max(wanted, self._seen(wid))
        if cached is not None and self._fresh(cached, floor):
            return self._found(_alive(cached.row), Source.HIT, cached.age_s)
        try:
            row = await self._fetch(wid, floor, deadline, bypassed=not answered)
        except (DependencyFailed, Rejected):
            stale = self._stale(wid, cached, wanted)
            if stale is None:
                raise
            return stale
        return self._found(row, Source.MISS if answered else Source.BYPASS, 0.0)

    async def remember(self, row: Row, deadline: Deadline, *, late: bool = False) -> None:
        """Take note of a widget that was written or read from the record.

        late: the cache has just not answered; it is told later, so that nobody waits for it twice.
        """
        if self._policy.local:
            self._local.put(row.id, row, row.order)
        if self._policy.cache and late:
            self._cache.owe(row)
        elif self._policy.cache:
            await self._cache.put(row, deadline)

    async def forget(self, wid: str, version: int, deadline: Deadline) -> None:
        """Take note of a widget that was deleted at *version*."""
        if self._policy.local:
            gone = Row(id=wid, version=version + 1, state="gone", body="")
            self._local.put(wid, gone, gone.order)
        if self._policy.cache:
            await self._cache.bury(wid, version + 1, deadline)

    async def _ask_cache(self, wid: str, deadline: Deadline) -> tuple[bool, Cached | None]:
        if not self._policy.cache:
            return True, None
        return await self._cache.get(wid, deadline)

    def _seen(self, wid: str) -> int:
        """Return how far this process itself has seen the widget; a cached value may be older: put late, or not."""
        known = self._local.get(wid) if self._policy.versioned else None
        return known.version if known else 0

    def _fresh(self, cached: Cached, floor: int) -> bool:
        young = cached.age_s <= self._policy.soft_ttl_s or not self._policy.expire
        return young and cached.row.order >= floor

    async def _fetch(self, wid: str, floor: int, deadline: Deadline, *, bypassed: bool) -> Row:
        async def fetch() -> Row:
            if bypassed and self._policy.capped and not self._cap.take():
                self.rationed += 1
                message = "too many reads past the cache"
                raise Shed(message, retry_after=1.0)
            row = await self._record.get(wid, deadline)
            await self.remember(row, deadline, late=bypassed)
            return row

        # A flight that began before what this reader knows of was written may not show it: he joins
        # only those who know as much.
        return await self.flights.do((wid, floor), fetch)

    def _stale(self, wid: str, cached: Cached | None, wanted: int) -> Found | None:
        """Return the newest value that is known, not too old, and new enough."""
        known = self._local.get(wid)
        candidates = [] if cached is None else [(cached.row.order, -cached.age_s, cached.row)]
        if known is not None:
            candidates.append((known.version, -self._local.age_s(known), known.value))
        bound = self._policy.hard_ttl_s if self._policy.expire else math.inf
        usable = [one for one in candidates if one[0] >= wanted and -one[1] <= bound]
        if not usable or not self._policy.stale_if_error:
            return None
        _, age, row = max(usable, key=lambda one: one[:2])
        return self._found(_alive(row), Source.STALE, -age)

    def _found(self, row: Row, source: Source, age_s: float) -> Found:
        self._served(source.value, age_s)
        return Found(row=row, source=source, age_s=age_s)


def _alive(row: Row) -> Row:
    if row.state == "gone":
        raise NotFoundError
    return row
