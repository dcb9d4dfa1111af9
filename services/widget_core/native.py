"""The native view of a widget: from ORB Core, or as it was last known."""

import time

from services.resilience import Deadline, DependencyFailed, Rejected, Shed, StaleCache, TokenBucket
from services.widget_core.model import NotFoundError
from services.widget_core.orb import Gone, OrbCoreClient, OrbObject
from services.widget_core.reading import Source
from services.widget_core.record import Record, fetch
from services.widget_core.sql import NATIVE

FALLBACKS_PER_S = 20.0


class NativeReader:
    """Ask ORB Core; when it is away, remember, and then look into the record, a few times a second."""

    def __init__(self, record: Record, orb: OrbCoreClient, *, hard_ttl_s: float, fallback: bool = True) -> None:
        """Remember views for *hard_ttl_s* seconds."""
        self._record = record
        self._orb = orb
        self._fallback = fallback
        self._known: StaleCache[str] = StaleCache(size=10_000, hard_ttl_s=hard_ttl_s, clock=time.monotonic)
        self._ration = TokenBucket(rate=FALLBACKS_PER_S, burst=FALLBACKS_PER_S, clock=time.monotonic)

    async def get(self, wid: str, deadline: Deadline) -> tuple[str, Source, float]:
        """Return the view as JSON, where it came from, and its age in seconds."""
        try:
            view = await self._orb.get(wid, deadline)
        except Gone:
            return await self._recorded(wid, deadline)
        except (DependencyFailed, Rejected) as error:
            if not self._fallback:
                raise
            return await self._last_known(wid, deadline, error)
        body = _render(view)
        self._known.put(wid, body, view.revision)
        return body, Source.MISS, 0.0

    async def _last_known(
        self, wid: str, deadline: Deadline, error: DependencyFailed | Rejected
    ) -> tuple[str, Source, float]:
        known = self._known.get(wid)
        if known is not None:
            return known.value, Source.STALE, self._known.age_s(known)
        if not self._ration.take():
            message = "too many fallbacks"
            raise Shed(message, retry_after=1.0) from error
        return await self._recorded(wid, deadline)

    async def _recorded(self, wid: str, deadline: Deadline) -> tuple[str, Source, float]:
        """Return the view as the record has it: ORB Core is away, or was restarted and is being refilled."""
        found = await self._record.bulk.read(lambda db: fetch(db, NATIVE, {"id": wid}), deadline)
        if not found:
            raise NotFoundError
        critical, payload, version = found[0]
        view = OrbObject(widget_id=wid, native_id="", revision=version, critical=critical, payload=payload)
        return _render(view), Source.STALE, 0.0


def _render(view: OrbObject) -> str:
    native_id = f'"{view.native_id}"' if view.native_id else "null"
    critical = "true" if view.critical else "false"
    return (
        f'{{"id":"{view.widget_id}","native_id":{native_id},"revision":{view.revision},'
        f'"critical":{critical},"payload":{view.payload}}}'
    )
