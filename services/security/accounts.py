"""The use cases: register, log in, refresh, log out, change a role. All of them fail closed."""

# ruff: noqa: ANN401 - rows of the driver are untyped

import hashlib
import secrets
import time
from dataclasses import dataclass
from typing import Any
from uuid import UUID, uuid4

import psycopg2.errors

from services import plants
from services.contract.auth import Credentials, TokensOut, UserOut
from services.resilience import Deadline
from services.security import sql
from services.security.keys import KeyRing
from services.security.passwords import Passwords
from services.security.store import Store
from services.security.strangers import Strangers
from services.web.problems import Problem
from services.web.tokens import ACCESS_S, Principal, unauthorized

REFRESH_S = 7 * 86_400
MOST_FAILURES = 5
LOCK_S = 30


@dataclass(frozen=True, kw_only=True, slots=True)
class AccountPolicy:
    """The role of a new user, and the safeguards of accounts."""

    first_role: str
    credentials_only: bool = True
    reuse_detection: bool = True


@dataclass(frozen=True, kw_only=True, slots=True)
class _User:
    """A user as the login finds him."""

    id: str
    password_hash: str | None
    locked_s: float
    failures: int


_NOBODY = _User(id=str(UUID(int=0)), password_hash=None, locked_s=0.0, failures=0)


class Accounts:
    """What users and administrators can do."""

    def __init__(self, store: Store, keys: KeyRing, passwords: Passwords, policy: AccountPolicy) -> None:
        """Use these parts."""
        self._store = store
        self._keys = keys
        self._passwords = passwords
        self._policy = policy
        self._strangers = Strangers(most=MOST_FAILURES, lock_s=LOCK_S, clock=time.monotonic)
        self.reuses = 0
        self.failures = 0

    async def register(self, wanted: Credentials, deadline: Deadline) -> UserOut:
        """Make a user with the first role."""
        look_first = plants.on(plants.LOOK_THEN_REGISTER)
        if look_first and await self._find(wanted.email, deadline):
            raise Problem(409, "email-taken", "somebody is registered with this address")
        values = {
            "id": str(uuid4()),
            "email": wanted.email,
            "hash": await self._passwords.hash(wanted.password, deadline),
            "role": self._policy.first_role,
        }
        try:
            found = await self._store.write(sql.OVERWRITE if look_first else sql.REGISTER, values, deadline)
        except psycopg2.errors.UniqueViolation:
            raise Problem(409, "email-taken", "somebody is registered with this address") from None
        self._strangers.forget(wanted.email)
        return _user_out(found[0])

    async def bootstrap(self, email: str, password: str, deadline: Deadline) -> None:
        """Make the first administrator, unless the address is registered."""
        hashed = await self._passwords.hash(password, deadline)
        values = {"id": str(uuid4()), "email": email.lower(), "hash": hashed}
        await self._store.write(sql.BOOTSTRAP, values, deadline, safe=True)

    async def login(self, given: Credentials, deadline: Deadline) -> TokensOut:
        """Return a pair of tokens, or the problem."""
        user = await self._find(given.email, deadline)
        _check_lock(user.locked_s if user else self._strangers.locked_s(given.email))
        await self._count_attempt(user, given.email, deadline)
        stored = user.password_hash if user else None
        if not await self._passwords.check(given.password, stored, deadline) or user is None:
            self.failures += 1
            await self._count_failure(user, given.email, deadline)
            raise _credentials_wrong()
        values = {"id": user.id, "family": str(uuid4()), "forgive": self._policy.credentials_only}
        try:
            return await self._give(sql.LOGIN, values, deadline)
        except LookupError:  # he was deleted in this very moment
            raise _credentials_wrong() from None

    async def refresh(self, token: str, deadline: Deadline) -> TokensOut:
        """Exchange a refresh token for a new pair; a second use revokes the whole family."""
        old = _digest(token)
        found = await self._store.read(sql.GIVEN_OUT, {"old": old}, deadline)
        if not found:
            raise unauthorized("refresh-invalid", "the refresh token is not valid")
        family, user_id, used, dead = found[0]
        if used and self._policy.reuse_detection:
            await self._revoke_family(family, deadline)
            raise unauthorized("refresh-reused", "the refresh token was used before; log in again")
        if dead:
            raise unauthorized("refresh-invalid", "the refresh token is not valid")
        values = {"id": user_id, "old": old, "once": self._policy.reuse_detection}
        try:
            return await self._give(sql.ROTATE, values, deadline)
        except LookupError:  # somebody else used it in this very moment
            await self._revoke_family(family, deadline)
            raise unauthorized("refresh-reused", "the refresh token was used before; log in again") from None

    async def logout(self, principal: Principal, deadline: Deadline) -> None:
        """Revoke the access token and the refresh tokens of its login."""
        values = {"id": principal.user_id, "access": principal.token_id, "access_life": ACCESS_S}
        await self._store.write(sql.LOGOUT, values, deadline, safe=True)

    async def me(self, principal: Principal, deadline: Deadline) -> UserOut:
        """Return the user, if his token is not revoked."""
        values = {"access": principal.token_id, "id": principal.user_id, "issued": principal.issued_at}
        if await self._store.read(sql.REVOKED, values, deadline):
            raise unauthorized("token-revoked", "the token was revoked")
        return await self._by_id(principal.user_id, deadline)

    async def set_role(self, actor: Principal, user_id: str, role: str, deadline: Deadline) -> UserOut:
        """Give a user another role; his present access tokens end here."""
        values = {"actor": actor.user_id, "id": _uuid(user_id), "role": role, "access_life": ACCESS_S}
        found = await self._store.write(sql.SET_ROLE, values, deadline, safe=True)
        if not found:
            raise Problem(404, "no-such-user")
        return _user_out(found[0])

    async def _find(self, email: str, deadline: Deadline) -> _User | None:
        found = await self._store.read(sql.BY_EMAIL, {"email": email}, deadline)
        if not found:
            return None
        user_id, password_hash, locked_s, failures = found[0]
        return _User(id=user_id, password_hash=password_hash, locked_s=locked_s, failures=failures)

    async def _by_id(self, user_id: str, deadline: Deadline) -> UserOut:
        found = await self._store.read(sql.BY_ID, {"id": user_id}, deadline)
        if not found:
            raise unauthorized("token-invalid", "the token is not valid")
        return _user_out(found[0])

    async def _count_attempt(self, user: _User | None, email: str, deadline: Deadline) -> None:
        if not self._policy.credentials_only:  # a naive lock-out counts whatever arrives
            await self._count(sql.COUNTED, user, email, deadline)

    async def _count_failure(self, user: _User | None, email: str, deadline: Deadline) -> None:
        if self._policy.credentials_only:
            statement = sql.FAILED_AS_SEEN if plants.on(plants.COUNT_AS_SEEN) else sql.FAILED
            await self._count(statement, user, email, deadline)

    async def _count(self, statement: str, user: _User | None, email: str, deadline: Deadline) -> None:
        if user is None:
            self._strangers.count(email)
        who = user or _NOBODY  # asked in any case, so that the time tells little
        values = {"id": who.id, "seen": who.failures, "most": MOST_FAILURES, "lock": LOCK_S}
        await self._store.write(statement, values, deadline)

    async def _revoke_family(self, family: str, deadline: Deadline) -> None:
        self.reuses += 1
        await self._store.write(sql.REVOKE_FAMILY, {"family": family, "access_life": ACCESS_S}, deadline, safe=True)

    async def _give(self, statement: str, values: dict[str, Any], deadline: Deadline) -> TokensOut:
        """Record a new refresh token with *statement* and return the pair; LookupError: refused."""
        self._keys.check()
        refresh, token_id = secrets.token_urlsafe(32), str(uuid4())
        fresh = {"digest": _digest(refresh), "access": token_id, "life": REFRESH_S}
        found = await self._store.write(statement, {**values, **fresh}, deadline)
        if not found:
            raise LookupError
        role, moment = found[0]
        access, _ = self._keys.sign(values["id"], role, token_id=token_id, moment=moment)
        return TokensOut(access_token=access, refresh_token=refresh, expires_in=ACCESS_S)


def _credentials_wrong() -> Problem:
    return unauthorized("credentials-wrong", "e-mail address or password is wrong")


def _check_lock(locked_s: float) -> None:
    if locked_s > 0:
        wait = str(int(locked_s + 1))
        raise Problem(429, "account-locked", "too many wrong passwords", headers={"retry-after": wait})


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()


def _uuid(text: str) -> str:
    try:
        return str(UUID(text))
    except ValueError:
        raise Problem(404, "no-such-user") from None


def _user_out(line: Any) -> UserOut:
    return UserOut(id=UUID(line[0]), email=line[1], role=line[2])
