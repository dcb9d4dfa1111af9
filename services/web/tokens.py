"""Access tokens, verified here with the public keys of the security service."""

# ruff: noqa: ANN401 - what comes from outside has no type yet

import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

import jwt
from starlette.requests import Request

from services.resilience import Clock, Deadline, SingleFlight
from services.web.problems import Problem

ISSUER = "widget-platform"
AUDIENCE = "widget-api"
ALGORITHM = "EdDSA"
LEEWAY_S = 2
MAX_TOKEN = 4096
REMEMBERED = 4096
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


def bearer(request: Request) -> str:
    """Return the token of the request, or raise the 401 problem."""
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not token or len(token) > MAX_TOKEN:
        raise unauthorized("token-missing", "an Authorization header with a bearer token is needed")
    return token.strip()


class KeySet:
    """Public keys by key id, fetched when an unknown id comes by, but not more often than allowed.

    Keys that are known stay good while the security service is away; an unknown key id
    cannot be judged then, which is a 503: neither accepted nor called forged.
    """

    def __init__(self, fetch: Fetch, *, cooldown_s: float, clock: Clock = time.monotonic) -> None:
        """Start with no keys."""
        self._fetch = fetch
        self._cooldown_s = cooldown_s
        self._clock = clock
        self._keys: dict[str, jwt.PyJWK] = {}
        self._next = 0.0
        self._flight: SingleFlight[None] = SingleFlight()
        self.fetched = False

    async def key(self, kid: str, deadline: Deadline) -> jwt.PyJWK:
        """Return the key *kid*; 401 when it does not exist, 503 when that cannot be known now."""
        if kid not in self._keys and self._clock() >= self._next:
            await self._flight.do("keys", lambda: self.refresh(deadline))
        if kid in self._keys:
            return self._keys[kid]
        if not self.fetched:
            raise Problem(503, "keys-unavailable", headers={"retry-after": "1"}, outcome="not-done")
        raise unauthorized("token-invalid", "the token is not valid")

    async def refresh(self, deadline: Deadline) -> None:
        """Fetch the keys; errors leave the known ones in place."""
        # With no key at all nobody is served: then asking again soon is worth it.
        pause = self._cooldown_s if self._keys else min(self._cooldown_s, EAGER_S)
        self._next = self._clock() + pause
        self.fetched = False
        document = await self._fetch(deadline)
        self._keys = {key["kid"]: jwt.PyJWK(key, algorithm=ALGORITHM) for key in document["keys"]}
        self.fetched = True
        self._next = self._clock() + self._cooldown_s


class Verifier:
    """Turn a token into a `Principal`; what was verified once is remembered until it expires."""

    def __init__(self, keys: KeySet, wall: Clock = time.time) -> None:
        """Verify with *keys*; *wall* gives the seconds since 1970."""
        self.keys = keys
        self._wall = wall
        self._seen: OrderedDict[str, Principal] = OrderedDict()

    async def __call__(self, token: str, deadline: Deadline) -> Principal:
        """Return who holds *token*, or raise the 401 or 503 problem."""
        known = self._seen.get(token)
        if known is not None and known.expires_at + LEEWAY_S > self._wall():
            return known
        kid = _key_id(token)
        principal = decode(token, await self.keys.key(kid, deadline))
        self._seen[token] = principal
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
