"""Who verifies a token: this process, with the keys of the security service; or that service."""

import json
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from services.contract.auth import MeOut
from services.drivers.http import Answer, Call, Upstream
from services.resilience import Deadline, OutcomeUnknown, Overloaded
from services.web.environment import Common
from services.web.metrics import Metrics
from services.web.problems import Problem
from services.web.tokens import KeySet, Principal, Verifier, unauthorized

JWKS = "/.well-known/jwks.json"
ME = "/api/v1/auth/me"
OK = 200


def verifier(common: Common, security: Upstream, metrics: Metrics) -> "Verifier | RemoteVerifier":
    """Return what verifies tokens for the service that *common* describes."""
    on = common.switches.on
    refresh_s = common.profile.jwks_refresh_s
    cooldown_s = refresh_s if on(f"{common.service}.verify.jwks_cooldown") else 0.0
    keys = KeySet(lambda deadline: _fetch(security, deadline), refresh_s=refresh_s, cooldown_s=cooldown_s)
    metrics.show("jwks_fetches_total", "Fetches of the public keys", lambda: keys.fetches)
    local = on(f"{common.service}.verify.local")
    return Verifier(keys, [keys.run]) if local else RemoteVerifier(security)


class RemoteVerifier:
    """Ask the security service about every token: what a naive service does."""

    def __init__(self, security: Upstream) -> None:
        """Ask over *security*; there are no keys to be kept fresh."""
        self.background: Sequence[Callable[[], Awaitable[None]]] = ()
        self._security = security

    async def __call__(self, token: str, deadline: Deadline) -> Principal:
        """Return who holds *token*, or raise the 401 or 503 problem."""
        call = Call(method="GET", path=ME, headers={"authorization": f"Bearer {token}"}, safe=True)
        answer = await self._security.call(call, deadline)
        if answer.status == OK:
            return _principal(answer.body)
        if answer.status < 500:  # noqa: PLR2004 - it has an opinion
            raise unauthorized("token-invalid", "the token is not valid")
        raise Problem(503, "verification-unavailable", headers={"retry-after": "1"}, outcome="not-done")


async def _fetch(security: Upstream, deadline: Deadline) -> dict[str, Any]:
    answer = await security.call(Call(method="GET", path=JWKS, headers={}, safe=True), deadline)
    return _document(answer)


def _document(answer: Answer) -> dict[str, Any]:
    if answer.status != OK:
        message = "the security service has no keys to give"
        raise Overloaded(message, retry_after=1.0)
    try:
        document: dict[str, Any] = json.loads(answer.body)
    except (ValueError, RecursionError) as error:
        message = "the keys are not readable"
        raise OutcomeUnknown(message) from error
    return document


def _principal(body: bytes) -> Principal:
    try:
        me = MeOut.model_validate_json(body)
    except ValueError as error:
        message = "the security service says nothing that makes sense"
        raise OutcomeUnknown(message) from error
    return Principal(
        user_id=str(me.id),
        role=me.role,
        token_id=me.token_id,
        issued_at=me.issued_at,
        expires_at=time.time() + 1,
    )
