"""Forwarding: who asks, may he, how often, and then on to the service that answers."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from services.contract import routes as contract
from services.drivers.http import Answer, Call, Upstream
from services.gateway.limits import Limit
from services.gateway.revocation import Revocations
from services.resilience import Deadline
from services.web import requests
from services.web.door import deadline_of
from services.web.jwks import RemoteVerifier
from services.web.tokens import Verifier, bearer

MAX_BODY = 64 * 1024
MAX_BULK_BODY = 2 * 1024 * 1024
TAKEN_ALONG = ("authorization", "content-type", "idempotency-key", "if-match", "if-none-match", "x-min-version")
BROUGHT_BACK = (
    "age",
    "cache-control",
    "content-type",
    "etag",
    "idempotent-replay",
    "location",
    "retry-after",
    "www-authenticate",
    "x-cache",
    "x-degraded",
)
READS = frozenset({"GET", "HEAD"})
REPEATABLE = READS | {"DELETE"}


@dataclass(frozen=True, kw_only=True, slots=True)
class Gate:
    """What a request passes before it is forwarded."""

    verify: Verifier | RemoteVerifier
    revocations: Revocations | None
    general: Limit
    logins: Limit


class Forwarder:
    """Forward requests to one service."""

    def __init__(self, upstream: Upstream, gate: Gate) -> None:
        """Forward over *upstream* what *gate* lets through."""
        self._upstream = upstream
        self._gate = gate

    def handler(self, route: contract.Route) -> Callable[[Request], Awaitable[Response]]:
        """Return the handler of *route*."""
        limit = MAX_BULK_BODY if route.name == "create_many" else MAX_BODY

        async def handle(request: Request) -> Response:
            deadline = deadline_of(request.scope)
            await self._admit(route, request, deadline)
            body = await requests.read_body(request, limit)
            requests.idempotency_key(request)
            return _response(await self._upstream.call(_call(route, request, body), deadline))

        return handle

    async def _admit(self, route: contract.Route, request: Request, deadline: Deadline) -> None:
        if route.role is None:
            await self._gate.logins.check(_address(request), deadline)
            return
        principal = await self._gate.verify(bearer(request), deadline)
        if self._gate.revocations:
            self._gate.revocations.check(principal, changes=request.method not in READS)
        await self._gate.general.check(principal.user_id, deadline)
        principal.needs(route.role)


def routers(widgets: Forwarder, security: Forwarder) -> list[APIRouter]:
    """Return the whole public API."""
    return [
        contract.router(contract.WIDGET_ROUTES, widgets.handler, "widgets"),
        contract.router(contract.AUTH_ROUTES, security.handler, "auth"),
    ]


def _call(route: contract.Route, request: Request, body: bytes) -> Call:
    headers = {name: request.headers[name] for name in TAKEN_ALONG if name in request.headers}
    headers["x-request-id"] = request.scope["request_id"]
    keyed = "key" in route.parameters and "idempotency-key" in headers
    path = request.scope["raw_path"].decode("ascii", "replace")
    query = request.scope["query_string"].decode("ascii", "replace")
    return Call(
        method=request.method,
        path=f"{path}?{query}" if query else path,
        headers=headers,
        body=body,
        safe=request.method in REPEATABLE or keyed,
    )


def _response(answer: Answer) -> Response:
    headers = {name: answer.headers[name] for name in BROUGHT_BACK if name in answer.headers}
    return Response(answer.body, answer.status, headers=headers)


def _address(request: Request) -> str:
    return request.client.host if request.client else "unknown"
