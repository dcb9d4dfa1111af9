"""The HTTP API of widgets."""

import base64
import binascii
import hashlib
import json
from collections.abc import Awaitable
from datetime import UTC, datetime
from typing import TypeVar
from uuid import UUID

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from services.contract import routes as contract
from services.contract.numbers import whole
from services.contract.widgets import MAX_PAGE, BulkIn, WidgetIn, WidgetPatch
from services.drivers.postgres import LockTimeout
from services.resilience import Deadline
from services.web import requests
from services.web.door import deadline_of
from services.web.jwks import RemoteVerifier
from services.web.problems import Problem
from services.web.tokens import Principal, Verifier, bearer
from services.widget_core.model import (
    KeyReusedError,
    Mutation,
    NotFoundError,
    Row,
    VersionConflictError,
    Written,
    widget_id,
)
from services.widget_core.native import NativeReader
from services.widget_core.reading import Reader
from services.widget_core.record import Record
from services.widget_core.writing import Writer

T = TypeVar("T")
MAX_BODY = 64 * 1024
MAX_BULK_BODY = 2 * 1024 * 1024
JSON = "application/json"
ORB_EDGE = "widget-core.orb-core"
FIRST = ("-infinity", "00000000-0000-0000-0000-000000000000")
PAGE = 50


class WidgetApi:
    """The handlers. They read the request themselves: one pass over the body, no copies."""

    def __init__(
        self,
        *,
        record: Record,
        reader: Reader,
        writer: Writer,
        native: NativeReader,
        verify: Verifier | RemoteVerifier,
        if_match: bool = True,
    ) -> None:
        """Answer with these use cases; with *if_match* off, versions are not compared."""
        self._record = record
        self._reader = reader
        self._writer = writer
        self._native = native
        self._verify = verify
        self._if_match = if_match

    async def create(self, request: Request) -> Response:
        """Make a widget."""
        mutation, raw = await self._begin(request, MAX_BODY)
        wanted = requests.parse(WidgetIn, raw)
        written, degraded = await _answer(self._writer.create(wanted, mutation, deadline_of(request.scope)))
        response = _written(written)
        if degraded:
            response.headers["x-degraded"] = degraded
        response.headers["location"] = f"{contract.WIDGETS}/{_shown(written).id}"
        return response

    async def create_many(self, request: Request) -> Response:
        """Make up to a hundred widgets: all of them or none."""
        mutation, raw = await self._begin(request, MAX_BULK_BODY)
        wanted = requests.parse(BulkIn, raw).widgets
        written = await _answer(self._writer.create_many(wanted, mutation, deadline_of(request.scope)))
        return Response(written.body, written.status, media_type=JSON, headers=_replay(written))

    async def get(self, request: Request) -> Response:
        """Show a widget, from the cache where that is fresh enough."""
        deadline = deadline_of(request.scope)
        await self._principal(request, "viewer", deadline)
        wid = _wid(request)
        found = await _answer(self._reader.get(wid, deadline, requests.min_version(request)))
        headers = {"x-cache": found.source.value, "age": str(int(found.age_s)), "etag": etag(found.row)}
        if request.headers.get("if-none-match") == headers["etag"]:
            return Response(status_code=304, headers=headers)
        return Response(found.row.body, media_type=JSON, headers=headers)

    async def replace(self, request: Request) -> Response:
        """Replace a widget; If-Match is needed."""
        return await self._update(request, WidgetIn)

    async def patch(self, request: Request) -> Response:
        """Change some members of a widget."""
        return await self._update(request, WidgetPatch)

    async def delete(self, request: Request) -> Response:
        """Delete a widget; that it is gone already is fine."""
        mutation, _ = await self._begin(request, MAX_BODY, "editor", json=False)
        version = requests.if_match(request) if self._if_match else None
        deadline = deadline_of(request.scope)
        try:
            await _answer(self._writer.delete(_wid(request), version, mutation, deadline), missing_is_fine=True)
        except NotFoundError:
            return Response(status_code=204)
        return Response(status_code=204)

    async def page(self, request: Request) -> Response:
        """List widgets in the order they were made."""
        deadline = deadline_of(request.scope)
        await self._principal(request, "viewer", deadline)
        at, wid = _position(request.query_params.get("cursor"))
        limit = _limit(request)
        lines = await _answer(self._record.page(at, wid, limit, deadline))
        more = f',"next":"{_cursor(lines[-1])}"' if len(lines) == limit else ""
        listed = ",".join(row.body for row, _ in lines)
        return Response(f'{{"widgets":[{listed}]{more}}}', media_type=JSON, headers={"x-cache": "bypass"})

    async def native(self, request: Request) -> Response:
        """Show the native object of a widget, or its last known state, marked stale."""
        deadline = deadline_of(request.scope)
        await self._principal(request, "viewer", deadline)
        view, source, age_s = await _answer(self._native.get(_wid(request), deadline))
        headers = {"x-cache": source.value, "age": str(int(age_s))}
        if source == "stale":
            headers["x-degraded"] = ORB_EDGE
        return Response(view, media_type=JSON, headers=headers)

    async def _update(self, request: Request, model: type[WidgetIn] | type[WidgetPatch]) -> Response:
        mutation, raw = await self._begin(request, MAX_BODY)
        version = requests.if_match(request) if self._if_match else None
        if self._if_match and model is WidgetIn and "if-match" not in request.headers:
            raise Problem(428, "if-match-missing", "send If-Match with the ETag you have seen")
        wanted = requests.parse(model, raw)
        update = self._writer.update(_wid(request), wanted, version, mutation, deadline_of(request.scope))
        return _written(await _answer(update))

    async def _begin(
        self, request: Request, limit: int, role: str = "editor", *, json: bool = True
    ) -> tuple[Mutation, bytes]:
        principal = await self._principal(request, role, deadline_of(request.scope))
        if json:
            requests.check_json(request)
        raw = await requests.read_body(request, limit)
        seen = [request.method, request.scope["path"], request.headers.get("if-match", "")]
        fingerprint = hashlib.sha256("\n".join(seen).encode() + b"\n" + raw).digest()
        key = requests.idempotency_key(request)
        return Mutation(principal=principal.user_id, key=key, fingerprint=fingerprint), raw

    async def _principal(self, request: Request, role: str, deadline: Deadline) -> Principal:
        principal = await self._verify(bearer(request), deadline)
        principal.needs(role)
        return principal


def routes(api: WidgetApi) -> APIRouter:
    """Return the routes of widgets."""
    return contract.router(contract.WIDGET_ROUTES, lambda route: getattr(api, route.name), "widgets")


def etag(row: Row) -> str:
    """Return the ETag of a widget: its version, and whether it is still pending."""
    return f'"{row.version}"' if row.state == "active" else f'"{row.version}-pending"'


async def _answer(work: Awaitable[T], *, missing_is_fine: bool = False) -> T:
    """Return what *work* returns, with the answers that are errors as problem documents."""
    try:
        return await work
    except NotFoundError:
        if missing_is_fine:
            raise
        raise Problem(404, "no-such-widget") from None
    except VersionConflictError:
        raise Problem(412, "version-mismatch", "the widget has changed meanwhile") from None
    except KeyReusedError:
        raise Problem(422, "key-reused", "this Idempotency-Key belongs to another request") from None
    except LockTimeout:
        message = "somebody else is changing the same thing"
        raise Problem(409, "locked", message, headers={"retry-after": "1"}, outcome="not-done") from None


def _written(written: Written) -> Response:
    headers = {**_replay(written), "etag": etag(_shown(written))}
    return Response(written.body, written.status, media_type=JSON, headers=headers)


def _shown(written: Written) -> Row:
    """Return the one widget that the answer shows; a replay has nothing but its body."""
    if written.rows:
        return written.rows[0]
    document = json.loads(written.body)
    return Row(id=document["id"], version=document["version"], state=document["state"], body=written.body)


def _replay(written: Written) -> dict[str, str]:
    return {"idempotent-replay": "true"} if written.replayed else {}


def _wid(request: Request) -> str:
    try:
        return widget_id(request.path_params["wid"])
    except NotFoundError:
        raise Problem(404, "no-such-widget") from None


def _cursor(line: tuple[Row, str]) -> str:
    row, at = line
    return base64.urlsafe_b64encode(f"{at} {row.id}".encode()).decode().rstrip("=")


def _position(cursor: str | None) -> tuple[str, str]:
    if cursor is None:
        return FIRST
    try:
        text = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode()
        at, _, wid = text.rpartition(" ")
        moment = datetime.fromisoformat(at)
        # In UTC: Postgres takes no offset with seconds, or of more than fifteen hours.
        return str(moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)), str(UUID(wid))
    except (ValueError, OverflowError, binascii.Error):
        raise Problem(400, "bad-cursor", "use the cursor of the page before") from None


def _limit(request: Request) -> int:
    found = whole(request.query_params.get("limit", str(PAGE)), MAX_PAGE)
    if found is None:
        raise Problem(400, "bad-limit", f"limit takes 1 to {MAX_PAGE}")
    return found
