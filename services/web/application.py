"""Put a service together: FastAPI, its error handlers, health, and the door in front."""

import time
from collections.abc import Sequence
from typing import Any

from fastapi import APIRouter, FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from services.profiles import ingress_policy
from services.resilience import Ingress, ResilienceError
from services.web import health as health_routes
from services.web import openapi
from services.web.door import Door, DoorPolicy
from services.web.environment import Address, Common
from services.web.health import Health
from services.web.metrics import Metrics
from services.web.problems import Problem, handler, render
from services.web.serving import Background, Service


def assemble(
    common: Common,
    *,
    health: Health,
    metrics: Metrics,
    routers: Sequence[APIRouter],
    background: Sequence[Background] = (),
    more_addresses: Sequence[Address] = (),
) -> Service:
    """Return the service that answers with *routers*, behind the door."""
    on = common.switches.on
    name = common.service
    sanitized = on(f"{name}.errors.sanitized")
    app = application(name, [*routers, health_routes.routes(health, metrics)], sanitized=sanitized)
    ingress = Ingress(ingress_policy(common.profile, name, common.switches), time.monotonic)
    metrics.watch_door(name, ingress)
    if on(f"{name}.health.shallow_live"):
        health.deep = None
    for edge in health.edges:
        metrics.watch(edge)
    policy = DoorPolicy(request_s=common.profile.request_s, deadlines=on(f"{name}.deadline"), sanitized=sanitized)
    return Service(
        door=Door(app, ingress, policy),
        common=common,
        health=health,
        background=background,
        more_addresses=more_addresses,
    )


def application(name: str, routers: Sequence[APIRouter], *, sanitized: bool = True) -> FastAPI:
    """Return the FastAPI application with the error handlers of the platform."""
    app = FastAPI(title=f"Widget platform: {name}", version="1", docs_url=None, redoc_url=None, redirect_slashes=False)
    for router in routers:
        app.include_router(router)
    app.openapi = lambda: openapi.document(app)  # type: ignore[method-assign]
    handle = handler(sanitized=sanitized)
    for kind in (Problem, ResilienceError, HTTPException, Exception):
        app.add_exception_handler(kind, handle)
    app.add_exception_handler(RequestValidationError, _invalid)
    return app


async def _invalid(request: Request, error: Exception) -> Response:
    problem = Problem(400, "invalid-request", "a parameter is not valid", errors=places(error))
    return render(problem, request.scope.get("request_id"))


def places(error: Exception) -> list[dict[str, str]]:
    """Return where a validation error lies and what is wrong there, without the input."""
    found: list[dict[str, Any]] = getattr(error, "errors", list)()
    return [{"at": ".".join(str(part) for part in item["loc"]), "problem": item["msg"]} for item in found]
