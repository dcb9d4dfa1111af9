"""The routes of the public API: one table for the service that answers and the gateway in front."""

# ruff: noqa: ANN401 - JSON has no type

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from fastapi import APIRouter
from pydantic import BaseModel

from services.contract import problem
from services.contract.auth import Credentials, KeyOut, MeOut, RefreshIn, RoleIn, TokensOut, UserOut
from services.contract.examples import EXAMPLES, ID, USER
from services.contract.widgets import (
    MAX_PAGE,
    BulkIn,
    BulkOut,
    NativeOut,
    PageOut,
    WidgetIn,
    WidgetOut,
    WidgetPatch,
)

WIDGETS = "/api/v1/widgets"
AUTH = "/api/v1/auth"
READ_HERE = (WidgetIn, WidgetPatch, BulkIn, Credentials, RefreshIn, RoleIn, problem.ProblemOut)
JSON = "application/json"
REF = "#/components/schemas/{model}"


@dataclass(frozen=True, kw_only=True, slots=True)
class Route:
    """One operation. role: the least role that may do it; None: no token is needed."""

    name: str
    method: str
    path: str
    summary: str
    role: str | None
    status: int = 200
    takes: type[BaseModel] | None = None
    gives: type[BaseModel] | None = None
    errors: tuple[int, ...] = ()
    parameters: tuple[str, ...] = ()


def _parameter(name: str, place: str, text: str, example: Any, **schema: Any) -> dict[str, Any]:
    known = {"name": name, "in": place, "required": place == "path", "description": text}
    return known | {"example": example, "schema": schema}


PARAMETERS = {
    "wid": _parameter("wid", "path", "id of the widget", ID, type="string"),
    "user_id": _parameter("user_id", "path", "id of the user", USER["id"], type="string"),
    "key": _parameter(
        "Idempotency-Key",
        "header",
        "makes a repeat harmless",
        "order-17",
        type="string",
        pattern="^[\\x21-\\x7e]{1,128}$",
    ),
    "match": _parameter("If-Match", "header", "the ETag that was seen", '"3"', type="string"),
    "min": _parameter("X-Min-Version", "header", "no older version", "3", type="string", pattern="^[0-9]{1,9}$"),
    "cursor": _parameter(
        "cursor", "query", "`next` of the page before", EXAMPLES[PageOut]["next"], type="string", maxLength=200
    ),
    "limit": _parameter("limit", "query", "length of a page", 50, type="integer", minimum=1, maximum=MAX_PAGE),
}

BODY = (400, 401, 403, 409, 413, 415, 422)
ONE = f"{WIDGETS}/{{wid}}"

WIDGET_ROUTES = (
    Route(
        name="create", method="POST", path=WIDGETS, summary="Make a widget", role="editor", status=201,
        takes=WidgetIn, gives=WidgetOut, errors=BODY, parameters=("key",),
    ),
    Route(
        name="create_many", method="POST", path=f"{WIDGETS}/bulk", summary="Make up to a hundred widgets, all or none",
        role="editor", status=201, takes=BulkIn, gives=BulkOut, errors=BODY, parameters=("key",),
    ),
    Route(
        name="page", method="GET", path=WIDGETS, summary="List widgets in the order they were made", role="viewer",
        gives=PageOut, errors=(400, 401, 403), parameters=("cursor", "limit"),
    ),
    Route(
        name="get", method="GET", path=ONE, summary="Show a widget", role="viewer", gives=WidgetOut,
        errors=(400, 401, 403, 404), parameters=("wid", "min"),
    ),
    Route(
        name="replace", method="PUT", path=ONE, summary="Replace a widget whose ETag was seen", role="editor",
        takes=WidgetIn, gives=WidgetOut, errors=(*BODY, 404, 412, 428), parameters=("wid", "key", "match"),
    ),
    Route(
        name="patch", method="PATCH", path=ONE, summary="Change some members of a widget", role="editor",
        takes=WidgetPatch, gives=WidgetOut, errors=(*BODY, 404, 412), parameters=("wid", "key", "match"),
    ),
    Route(
        name="delete", method="DELETE", path=ONE, summary="Delete a widget; that it is gone already is fine",
        role="editor", status=204, errors=(400, 401, 403, 404, 409, 412, 422), parameters=("wid", "key", "match"),
    ),
    Route(
        name="native", method="GET", path=f"{ONE}/native", summary="Show the native object, or its last known state",
        role="viewer", gives=NativeOut, errors=(400, 401, 403, 404), parameters=("wid",),
    ),
)  # fmt: skip

AUTH_ROUTES = (
    Route(
        name="register", method="POST", path=f"{AUTH}/register", summary="Make a user", role=None, status=201,
        takes=Credentials, gives=UserOut, errors=(400, 409, 413, 415),
    ),
    Route(
        name="login", method="POST", path=f"{AUTH}/login", summary="Log in and get a pair of tokens", role=None,
        takes=Credentials, gives=TokensOut, errors=(400, 401, 413, 415),
    ),
    Route(
        name="refresh", method="POST", path=f"{AUTH}/refresh", summary="Exchange a refresh token, once",
        role=None, takes=RefreshIn, gives=TokensOut, errors=(400, 401, 413, 415),
    ),
    Route(
        name="logout", method="POST", path=f"{AUTH}/logout", summary="End this login", role="viewer", status=204,
        errors=(400, 401, 403),
    ),
    Route(
        name="me", method="GET", path=f"{AUTH}/me", summary="Show who the token belongs to", role="viewer",
        gives=MeOut, errors=(400, 401, 403),
    ),
    Route(
        name="set_role", method="PUT", path=f"{AUTH}/users/{{user_id}}/role", summary="Give a user another role",
        role="admin", takes=RoleIn, gives=UserOut, errors=(400, 401, 403, 404, 413, 415), parameters=("user_id",),
    ),
    Route(
        name="rotate_key", method="POST", path=f"{AUTH}/keys/rotate", summary="Publish a new key to sign with soon",
        role="admin", status=201, gives=KeyOut, errors=(400, 401, 403),
    ),
)  # fmt: skip


def router(routes: Sequence[Route], handler: Callable[[Route], Any], tag: str) -> APIRouter:
    """Return the routes, each answered by what *handler* returns for it."""
    made = APIRouter(tags=[tag])
    for route in routes:
        made.add_api_route(
            route.path,
            handler(route),
            methods=[route.method],
            name=route.name,
            summary=route.summary,
            status_code=route.status,
            responses=_responses(route),
            openapi_extra=_extra(route),
        )
    return made


def components() -> dict[str, Any]:
    """Return the schemas that FastAPI does not find by itself: of what handlers read, and of errors."""
    found: dict[str, Any] = {}
    for model in READ_HERE:
        schema = model.model_json_schema(ref_template=REF)
        found |= schema.pop("$defs", {})
        found[model.__name__] = schema
    return found


def _responses(route: Route) -> dict[int | str, dict[str, Any]]:
    schema = {"$ref": REF.format(model="ProblemOut")}
    found: dict[int | str, dict[str, Any]] = {
        status: {
            "description": problem.TITLES[status],
            "content": {problem.MEDIA_TYPE: {"schema": schema, "example": problem.example(status)}},
        }
        for status in sorted({*route.errors, 408, 429, 503})
    }
    if route.gives:
        content = {JSON: {"example": EXAMPLES[route.gives]}}
        found[route.status] = {"model": route.gives, "description": route.summary, "content": content}
    return found


def _extra(route: Route) -> dict[str, Any]:
    extra: dict[str, Any] = {"parameters": [PARAMETERS[name] for name in route.parameters]}
    if route.role:
        extra["security"] = [{"bearer": []}]
        extra["description"] = f"Needs the role {route.role}."
    if route.takes:
        schema = {"$ref": REF.format(model=route.takes.__name__)}
        content = {JSON: {"schema": schema, "example": EXAMPLES[route.takes]}}
        extra["requestBody"] = {"required": True, "content": content}
    return extra
