"""Access tokens, verified here with the public keys of the security service."""

# ruff: noqa: ANN401 - what comes from outside has no type yet

import asyncio
import contextlib
import math
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import jwt
from starlette.requests import Request

from services.resilience import Clock, Deadline, OutcomeUnknown, ResilienceError, SingleFlight
from services.web.problems import Problem

ISSUER = "widget-platform"
AUDIENCE = "widget-api"
ALGORITHM = "EdDSA"
LEEWAY_S = 2
MAX_TOKEN = 4096
REMEMBERED = 4096
ACCESS_S = 900
FETCH_S = 2.0
EAGER_S = 0.3
REQUIRED = ["exp", "iat", "sub", "jti", "role", "typ"]
RANKS = {"viewer": 0, "editor": 1, "admin": 2}

Fetch = Callable[[Deadline], Awaitable[dict[str, Any]]]
"""Get the key set document (`{"keys": [...]}`) from the security service."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Principal:
    """Who asks, as the token says. Times in seconds since 1970."""

    user_id: str
    role: str
    token_id: str
    issued_at: float
    expires_at: float

    def needs(self, role: str) -> None:
        """Raise the 403 problem unless the principal's role is *role* or above."""
        if RANKS.get(self.role, -1) < RANKS[role]:
            raise Problem(403, "role-too-low", f"this needs the role {role!r}")


def unauthorized(slug: str, detail: str) -> Problem:
    """Return the 401 problem."""
    return Problem(401, slug, detail, headers={"www-authenticate": 'Bearer error="invalid_token"'})


def keys_unavailable() -> Problem:
    """Return the 503 problem of a token that cannot be judged now."""
    return Problem(503, "keys-unavailable", headers={"retry-after": "1"}, outcome="not-done")


def bearer(request: Request) -> str:
    """Return the token of the request, or raise the 401 problem."""
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not token or len(token) > MAX_TOKEN:
        raise unauthorized("token-missing", "an Authorization header with a bearer token is needed")
    return token.strip()


class Keys(Protocol):
    """Where the public keys come from."""

    async def key(self, kid: str, deadline: Deadline) -> jwt.PyJWK:
        """Return the key *kid*; 401 when it does not exist, 503 when that cannot be known now."""


class KeySet:
    """Public keys by key id, fetched again and again, and when an unknown id comes by, if that is not too often.

    So a key that was withdrawn is trusted no longer than until the next fetch. While the
    security service is away known keys stay good, for the life of a token. An id that is
    unknown and cannot be looked up now is a 503: neither accepted nor called forged.
    """

    def __init__(self, fetch: Fetch, *, refresh_s: float, cooldown_s: float, clock: Clock = time.monotonic) -> None:
        """Start with no keys."""
        self._fetch = fetch
        self._refresh_s = refresh_s
        self._cooldown_s = cooldown_s
        self._clock = clock
        self._document: dict[str, Any] = {}
        self._keys: dict[str, jwt.PyJWK] = {}
        self._fetched_at = -math.inf
        self._next = -math.inf
        self._flight: SingleFlight[None] = SingleFlight()
        self.fetches = 0

    async def run(self) -> None:
        """Fetch for ever."""
        while True:
            with contextlib.suppress(ResilienceError):  # the edge counts it; known keys grow old
                await self._flight.do("keys", self._refresh)
            await asyncio.sleep(self._refresh_s)

    async def key(self, kid: str, deadline: Deadline) -> jwt.PyJWK:
        """Return the key *kid*; 401 when it does not exist, 503 when that cannot be known now."""
        if (known := self._known(kid)) is not None:
            return known
        if self._clock() < self._next:
            raise keys_unavailable()
        try:
            async with asyncio.timeout(min(FETCH_S, deadline.remaining())):
                await self._flight.do("keys", self._look_up)
        except TimeoutError:
            raise keys_unavailable() from None
        if (known := self._known(kid)) is not None:
            return known
        raise unauthorized("token-invalid", "the token is not valid")

    def _known(self, kid: str) -> jwt.PyJWK | None:
        return self._keys.get(kid) if self._clock() - self._fetched_at <= ACCESS_S else None

    async def _look_up(self) -> None:
        """Fetch because somebody asked; a failure is no reason to wait as long as after a success."""
        pause = EAGER_S
        try:
            await self._refresh()
            pause = self._cooldown_s
        finally:
            self._next = self._clock() + pause

    async def _refresh(self) -> None:
        """Fetch the keys, within a time that is nobody's request's; errors leave the known ones in place."""
        self.fetches += 1
        started = self._clock()
        document = await self._fetch(Deadline.after(FETCH_S, self._clock))
        if document != self._document:
            self._keys = _usable(document)
            self._document = document
        self._fetched_at = started


def _usable(document: Any) -> dict[str, jwt.PyJWK]:
    try:
        return {key["kid"]: jwt.PyJWK(key, algorithm=ALGORITHM) for key in document["keys"]}
    except (KeyError, TypeError, ValueError, AttributeError, jwt.PyJWTError) as error:
        message = "the keys make no sense"
        raise OutcomeUnknown(message) from error


class Verifier:
    """Turn a token into a `Principal`; what was verified once is remembered while its key is good."""

    def __init__(self, keys: Keys, background: Sequence[Callable[[], Awaitable[None]]] = ()) -> None:
        """Verify with *keys*; *background* is the work that keeps them fresh."""
        self.background = background
        self._keys = keys
        self._seen: OrderedDict[str, tuple[str, jwt.PyJWK, Principal]] = OrderedDict()

    async def __call__(self, token: str, deadline: Deadline) -> Principal:
        """Return who holds *token*, or raise the 401 or 503 problem."""
        seen = self._seen.get(token)
        kid = seen[0] if seen else _key_id(token)
        key = await self._keys.key(kid, deadline)
        if seen and seen[1] is key and seen[2].expires_at + LEEWAY_S > time.time():
            return seen[2]
        principal = decode(token, key)
        self._seen[token] = (kid, key, principal)
        while len(self._seen) > REMEMBERED:
            self._seen.popitem(last=False)
        return principal


def decode(token: str, key: Any) -> Principal:
    """Return the principal of a token signed by *key*, or raise the 401 problem."""
    try:
        claims = jwt.decode(
            token,
            key,
            algorithms=[ALGORITHM],
            issuer=ISSUER,
            audience=AUDIENCE,
            leeway=LEEWAY_S,
            options={"require": REQUIRED},
        )
    except jwt.ExpiredSignatureError:
        raise unauthorized("token-expired", "the token has expired") from None
    except (jwt.PyJWTError, ValueError, TypeError):
        raise unauthorized("token-invalid", "the token is not valid") from None
    return _principal(claims)


def _key_id(token: str) -> str:
    try:
        header = jwt.get_unverified_header(token)
    except (jwt.PyJWTError, ValueError, TypeError, RecursionError):
        raise unauthorized("token-invalid", "the token is not valid") from None
    kid = header.get("kid")
    if header.get("alg") != ALGORITHM or not isinstance(kid, str):
        raise unauthorized("token-invalid", "the token is not valid")
    return kid


def _principal(claims: Mapping[str, Any]) -> Principal:
    texts = [claims["sub"], claims["role"], claims["jti"]]
    if claims["typ"] != "access" or not all(isinstance(text, str) for text in texts):
        raise unauthorized("token-invalid", "the token is not valid")
    return Principal(
        user_id=claims["sub"],
        role=claims["role"],
        token_id=claims["jti"],
        issued_at=float(claims["iat"]),
        expires_at=float(claims["exp"]),
    )
