"""What happens to a user while he logs in or refreshes: the use cases, on a real database."""

import asyncio
import contextlib
import itertools
import random
import time

import jwt
import pytest

from services.contract.auth import Credentials
from services.drivers.postgres import Postgres, pool_policy
from services.profiles import LAB
from services.resilience import Deadline, Switches
from services.safeguards import catalogue
from services.security import sql
from services.security.accounts import AccountPolicy, Accounts
from services.security.keys import KeyRing, make
from services.security.passwords import Passwords
from services.security.store import Store
from services.web.problems import Problem
from services.web.tokens import Principal
from tests.conformance.platform.stores import wait_until
from tests.unit.services.fakes import edge

ADA = Credentials(email="ada@example.org", password="long enough")  # noqa: S106 - made up
ROOT = Principal(user_id="root", role="admin", token_id="t", issued_at=0.0, expires_at=0.0)  # noqa: S106 - made up
WAITING = "SELECT count(*) FROM pg_locks WHERE NOT granted"

_numbers = itertools.count()


class Interrupted(Store):
    """A store where something happens right after a statement was answered."""

    after: str | None = None
    happens = None

    async def read(self, statement, values, deadline):
        """Return the rows; then it happens, once."""
        found = await super().read(statement, values, deadline)
        if statement == self.after:
            self.after = None
            await self.happens()
        return found


@pytest.fixture
def own(running_stores):
    """A database of its own."""
    return running_stores.copy(f"accounts_{next(_numbers)}")


@pytest.fixture
def played(own):
    """Run a story with accounts, and the store below them."""

    def played(story):
        patient = [f"security.postgres.{name}_timeout" for name in ("lock", "statement")]
        policy = pool_policy(LAB.postgres, "security.postgres", 2, 0.1, Switches(catalogue(), patient))
        pool, ring = Postgres(own.postgres, policy, "accounts", random.Random(1)), KeyRing()
        ring.load([make()])
        store = Interrupted(edge(), pool)
        accounts = Accounts(store, ring, Passwords(LAB), AccountPolicy(first_role="editor"))
        try:
            return asyncio.run(story(accounts, store))
        finally:
            pool._pool.dispose()

    return played


def soon() -> Deadline:
    """Return a deadline that is far enough away."""
    return Deadline.after(10, time.monotonic)


async def login_or_refresh(accounts, how):
    """Register Ada; return her id, and what gives her another token in that way."""
    user = await accounts.register(ADA, soon())
    if how == sql.BY_EMAIL:
        return str(user.id), lambda: accounts.login(ADA, soon())
    refresh = (await accounts.login(ADA, soon())).refresh_token
    return str(user.id), lambda: accounts.refresh(refresh, soon())


@pytest.mark.parametrize("how", [sql.BY_EMAIL, sql.GIVEN_OUT], ids=["login", "refresh"])
def test_a_downgrade_in_the_middle_leaves_no_token_of_the_old_role(played, how):
    """The role that the token carries is the one at the moment it was given, not the one that was read before."""

    async def story(accounts, store):
        uid, again = await login_or_refresh(accounts, how)
        store.happens = lambda: accounts.set_role(ROOT, uid, "viewer", soon())
        store.after = how
        claims = jwt.decode((await again()).access_token, options={"verify_signature": False})
        return claims["role"]

    assert played(story) == "viewer"


@pytest.mark.parametrize("how", [sql.BY_EMAIL, sql.GIVEN_OUT], ids=["login", "refresh"])
def test_a_downgrade_under_way_is_waited_for(played, own, how):
    """While somebody else holds the user's row no token is given; afterwards it is one of the new role."""

    async def story(accounts, _store):
        uid, again = await login_or_refresh(accounts, how)
        with contextlib.closing(own.connect()) as connection, connection.cursor() as cursor:
            cursor.execute("BEGIN")
            cursor.execute("UPDATE users SET role = 'viewer' WHERE id = %s", [uid])
            given = asyncio.create_task(again())
            await asyncio.to_thread(wait_until, lambda: given.done() or _waiting(own))
            cursor.execute("SELECT extract(epoch FROM clock_timestamp())::float8")
            (moment,) = cursor.fetchone()
            cursor.execute("COMMIT")
            claims = jwt.decode((await given).access_token, options={"verify_signature": False})
            return claims["role"], claims["iat"] > moment

    assert played(story) == ("viewer", True)


def test_a_user_who_is_deleted_while_he_logs_in_is_unknown(played, own):
    """He gets the answer of one who never was."""

    async def story(accounts, store):
        await accounts.register(ADA, soon())

        async def delete():
            with contextlib.closing(own.connect()) as connection, connection.cursor() as cursor:
                cursor.execute("DELETE FROM users")

        store.happens, store.after = delete, sql.BY_EMAIL
        with pytest.raises(Problem) as refused:
            await accounts.login(ADA, soon())
        return refused.value.status, refused.value.slug

    assert played(story) == (401, "credentials-wrong")


def _waiting(stores) -> int:
    with contextlib.closing(stores.connect()) as connection, connection.cursor() as cursor:
        cursor.execute(WAITING)
        return cursor.fetchone()[0]
