"""The HTTP API of the security service."""

# ruff: noqa: ANN401 - rows of the driver are untyped

from typing import Any

from fastapi import APIRouter
from pydantic import BaseModel
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from services.contract import routes as contract
from services.contract.auth import Credentials, MeOut, RefreshIn, RoleIn
from services.resilience import Deadline
from services.security.accounts import Accounts
from services.security.keys import KeyRing
from services.security.publishing import KeyKeeper, RevocationPublisher
from services.web import requests
from services.web.door import deadline_of
from services.web.tokens import Principal, Verifier, bearer

MAX_BODY = 8 * 1024
KEY = {
    "kty": "OKP",
    "crv": "Ed25519",
    "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo",
    "kid": "Z2F1Z2U",
    "use": "sig",
}
KEYS = {"content": {"application/json": {"example": {"keys": [KEY]}}}}


class AuthApi:
    """The handlers."""

    def __init__(
        self, accounts: Accounts, ring: KeyRing, keeper: KeyKeeper, revocations: RevocationPublisher, verify: Verifier
    ) -> None:
        """Answer with these use cases."""
        self._accounts = accounts
        self._ring = ring
        self._keeper = keeper
        self._revocations = revocations
        self._verify = verify

    async def register(self, request: Request) -> Response:
        """Make a user."""
        wanted = await _read(request, Credentials)
        user = await self._accounts.register(wanted, deadline_of(request.scope))
        return _json(user, 201)

    async def login(self, request: Request) -> Response:
        """Log in and get a pair of tokens."""
        given = await _read(request, Credentials)
        return _json(await self._accounts.login(given, deadline_of(request.scope)))

    async def refresh(self, request: Request) -> Response:
        """Exchange a refresh token, once, for a new pair."""
        given = await _read(request, RefreshIn)
        try:
            return _json(await self._accounts.refresh(given.refresh_token, deadline_of(request.scope)))
        finally:
            self._revocations.kick()

    async def logout(self, request: Request) -> Response:
        """End this login: its access and refresh tokens are revoked."""
        principal, deadline = await self._principal(request)
        await self._accounts.logout(principal, deadline)
        self._revocations.kick()
        return Response(status_code=204)

    async def me(self, request: Request) -> Response:
        """Show who the token belongs to."""
        principal, deadline = await self._principal(request)
        user = await self._accounts.me(principal, deadline)
        return _json(MeOut(**user.model_dump(), token_id=principal.token_id, issued_at=principal.issued_at))

    async def set_role(self, request: Request) -> Response:
        """Give a user another role; needs an administrator."""
        principal, deadline = await self._principal(request)
        principal.needs("admin")
        wanted = await _read(request, RoleIn)
        user = await self._accounts.set_role(principal, request.path_params["user_id"], wanted.role, deadline)
        self._revocations.kick()
        return _json(user)

    async def rotate_key(self, request: Request) -> Response:
        """Publish a new key, and sign with it soon; needs an administrator."""
        principal, deadline = await self._principal(request)
        principal.needs("admin")
        return JSONResponse({"kid": await self._keeper.rotate(principal.user_id, deadline)}, 201)

    async def jwks(self) -> Response:
        """Show the public keys."""
        return JSONResponse(self._ring.document())

    async def _principal(self, request: Request) -> tuple[Principal, Deadline]:
        deadline = deadline_of(request.scope)
        principal = await self._verify(bearer(request), deadline)
        await self._accounts.me(principal, deadline)
        return principal, deadline


def routes(api: AuthApi) -> APIRouter:
    """Return the routes of authentication, and the public keys."""
    made = contract.router(contract.AUTH_ROUTES, lambda route: getattr(api, route.name), "auth")
    made.add_api_route("/.well-known/jwks.json", api.jwks, summary="Show the public keys", responses={200: KEYS})
    return made


async def _read(request: Request, model: type[Any]) -> Any:
    requests.check_json(request)
    return requests.parse(model, await requests.read_body(request, MAX_BODY))


def _json(model: BaseModel, status: int = 200) -> Response:
    return Response(
        model.model_dump_json(), status, media_type="application/json", headers={"cache-control": "no-store"}
    )
