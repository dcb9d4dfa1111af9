"""The HTTP side of ORB Core: health, the published reference, and what memory holds."""

from collections.abc import Awaitable, Callable, Iterator
from typing import Annotated

from fastapi import APIRouter, Query
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from starlette.responses import JSONResponse, PlainTextResponse, Response

from services.orb_core.objects import ObjectStore

SERVICE = "orb-core"


class MemoryCollector:
    """The counters of native memory, read when they are scraped.

    `polyorb_memory_deallocations_total` has the name that older dashboards know; this
    process is omniORB.
    """

    def __init__(self, store: ObjectStore) -> None:
        """Read from *store*."""
        self._store = store

    def collect(self) -> Iterator[Metric]:
        """Yield the families."""
        seen = self._store.memory.counters
        critical = seen.critical_deallocations
        released = CounterMetricFamily(
            "polyorb_memory_deallocations", "Native objects released", labels=("service", "critical")
        )
        released.add_metric((SERVICE, "true"), critical)
        released.add_metric((SERVICE, "false"), seen.deallocations - critical)
        yield released
        yield CounterMetricFamily("orb_memory_allocations", "Native objects made", value=seen.allocations)
        yield CounterMetricFamily("orb_memory_zeroized", "Critical objects read back as zero", value=seen.zeroized)
        yield CounterMetricFamily(
            "orb_memory_zeroize_failures", "Blocks that would not turn zero", value=seen.zeroize_failures
        )
        yield CounterMetricFamily(
            "orb_memory_lock_refusals", "Blocks the system would not lock", value=seen.lock_refusals
        )
        yield CounterMetricFamily("orb_repeated_creates", "Creates that were there", value=self._store.repeats)
        yield GaugeMetricFamily("orb_memory_live_bytes", "Bytes mapped now", value=seen.live_bytes)
        yield GaugeMetricFamily("orb_memory_live_objects", "Objects alive now", value=seen.live_objects)


def routes(store: ObjectStore, ior: str, taken: Callable[[], Awaitable[bool]]) -> APIRouter:
    """Return `/ready`, `/ior`, `/memory` and `/objects`; *taken* tells whether calls are taken."""
    router = APIRouter(tags=["orb"])

    @router.get("/ready", summary="The ORB takes calls")
    async def ready() -> Response:
        up = await taken()
        degraded = [] if up else [f"{SERVICE}.iiop"]
        if store.memory.counters.zeroize_failures:
            degraded.append(f"{SERVICE}.zeroize")
        word = "down" if not up else "degraded" if degraded else "ok"
        return JSONResponse({"status": word, "service": SERVICE, "degraded": degraded}, 200 if up else 503)

    @router.get("/ior", summary="The reference that clients use", response_class=PlainTextResponse)
    async def show_ior() -> str:
        return ior

    @router.get("/memory", summary="The counters of native memory")
    async def memory() -> dict[str, int | str]:
        seen = store.memory.counters
        return {"boot_id": store.boot_id, **{name: getattr(seen, name) for name in seen.__slots__}}

    @router.get("/objects", summary="The native objects, in order of their widgets' ids")
    async def objects(
        after: Annotated[str, Query(max_length=64)] = "",
        limit: Annotated[int, Query(ge=1, le=1000)] = 1000,
    ) -> list[dict[str, int | str | bool]]:
        return [
            {
                "id": item.widget_id,
                "native_id": item.native_id,
                "revision": item.revision,
                "critical": item.block.critical,
            }
            for item in store.after(after, limit)
        ]

    return router
