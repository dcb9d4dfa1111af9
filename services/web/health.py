"""Health endpoints: alive without asking anyone, ready while degraded, never a cascade."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from fastapi import APIRouter
from starlette.responses import JSONResponse, PlainTextResponse, Response

from services.resilience import Edge
from services.web.metrics import Metrics

ALIVE = {"content": {"application/json": {"example": {"status": "ok"}}}}
SAMPLE = {"content": {"text/plain": {"example": 'resilience_breaker_state{edge="gateway.redis"} 0.0\n'}}}
Check = Callable[[], Awaitable[bool]]


@dataclass(kw_only=True, slots=True)
class Health:
    """What a service knows of itself. `deep` is asked by liveness only where that is naive."""

    service: str
    edges: Sequence[Edge]
    notes: Callable[[], list[str]] = list
    deep: Check | None = None
    draining: bool = field(default=False)

    def degraded(self) -> list[str]:
        """Return the names of the edges and functions in trouble."""
        return sorted({edge.name for edge in self.edges if edge.degraded()} | set(self.notes()))


def routes(health: Health, metrics: Metrics) -> APIRouter:
    """Return `/health`, `/health/live`, `/health/ready` and `/metrics`."""
    router = APIRouter(tags=["operations"])

    state = _shown(health.service)

    @router.get("/health", summary="This service itself, and what is degraded", responses={200: state})
    async def health_() -> Response:
        return _state(health, 200)

    @router.get("/health/live", summary="The process is alive; asks nobody", responses={200: ALIVE})
    async def live() -> Response:
        alive = health.deep is None or await health.deep()
        return JSONResponse({"status": "ok" if alive else "down"}, 200 if alive else 503)

    ready_or_draining = {200: state, 503: _shown(health.service, "draining")}

    @router.get("/health/ready", summary="Ready, degraded or not; 503 while draining", responses=ready_or_draining)
    async def ready() -> Response:
        return _state(health, 503 if health.draining else 200)

    @router.get("/metrics", summary="Prometheus metrics", response_class=PlainTextResponse, responses={200: SAMPLE})
    async def show() -> Response:
        return metrics.response()

    return router


def _state(health: Health, status: int) -> Response:
    degraded = health.degraded()
    word = "draining" if health.draining else "degraded" if degraded else "ok"
    return JSONResponse({"status": word, "service": health.service, "degraded": degraded}, status)


def _shown(service: str, word: str = "ok") -> dict[str, Any]:
    example = {"status": word, "service": service, "degraded": []}
    return {"description": f"The service is {word}", "content": {"application/json": {"example": example}}}
