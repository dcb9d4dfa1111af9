"""What has expired is forgotten, what has not stays."""

import asyncio
import contextlib
import itertools
import random
import time

import pytest

from services.drivers.postgres import Postgres, pool_policy
from services.profiles import LAB
from services.resilience import Deadline, Switches
from services.safeguards import catalogue
from services.security.purging import Purger
from services.security.store import Store
from services.widget_core import sql
from services.widget_core.record import fetch
from services.widget_core.relay import KEYS_KEPT_H
from tests.unit.services.fakes import edge

KEYS = """
INSERT INTO idempotency_keys
SELECT 'somebody', n::text, '', 201, '', now() - CASE WHEN n > 25 THEN interval '1 hour' ELSE interval '25 hours' END
FROM generate_series(1, 30) n;
"""
MADE = """
INSERT INTO users (id, email, password_hash, role) VALUES (gen_random_uuid(), 'a@example.org', 'x', 'viewer');
INSERT INTO refresh_tokens (digest, family, user_id, access_id, expires_at)
SELECT sha256(n::text::bytea), gen_random_uuid(), u.id, n::text,
       now() + CASE WHEN n > 25 THEN interval '1 hour' ELSE interval '-1 second' END
FROM users u, generate_series(1, 30) n;
INSERT INTO revocations (subject, not_before, expires_at)
SELECT 'jti:' || n, 0, now() + CASE WHEN n > 5 THEN interval '1 hour' ELSE interval '-1 second' END
FROM generate_series(1, 8) n;
INSERT INTO signing_keys (kid, sealed_key, public_key, retired_at)
VALUES ('signs', '', '', NULL), ('verifies', '', '', now() - interval '1 hour'),
       ('old', '', '', now() - interval '2 days');
"""
LEFT = """
SELECT (SELECT count(*) FROM refresh_tokens), (SELECT count(*) FROM revocations), (SELECT count(*) FROM signing_keys)"""
_numbers = itertools.count()


@pytest.fixture
def own(running_stores):
    """A database with 25 expired tokens among 30, 5 expired revocations among 8, and one old key among 3."""
    made = running_stores.copy(f"purging_{next(_numbers)}")
    with contextlib.closing(made.connect()) as connection:
        connection.cursor().execute(MADE + KEYS)
    return made


def left(stores) -> list[int]:
    """Return how many tokens, revocations and signing keys there are."""
    with contextlib.closing(stores.connect()) as connection, connection.cursor() as cursor:
        cursor.execute(LEFT)
        return list(cursor.fetchone())


def pool_of(stores) -> Postgres:
    """Return a pool of one connection."""
    policy = pool_policy(LAB.postgres, "security.postgres", 1, 0.1, Switches(catalogue()))
    return Postgres(stores.postgres, policy, "purge", random.Random(1))


def test_what_security_has_kept_long_enough_is_purged_in_batches(own):
    """Ten at a time, until only what still counts is there; then there is nothing more to do."""
    pool = pool_of(own)
    purger, seen = Purger(Store(edge(), pool), batch=10), []

    async def story():
        more = True
        while more:
            more = await purger.once()
            seen.append(left(own))

    asyncio.run(story())
    pool.close()
    assert seen == [[20, 3, 2], [10, 3, 2], [5, 3, 2]]


def test_old_idempotency_keys_are_purged_in_batches(own):
    """Those of yesterday go, ten at a time, and those of the last hour stay."""
    pool, values = pool_of(own), {"hours": KEYS_KEPT_H, "limit": 10}

    async def story():
        soon = Deadline.after(5, time.monotonic)
        return [(await pool.run(lambda db: fetch(db, sql.PURGE, values), soon))[0][0] for _ in range(4)]

    assert asyncio.run(story()) == [10, 10, 5, 0]
    pool.close()
    with contextlib.closing(own.connect()) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM idempotency_keys")
        assert cursor.fetchone() == (5,)
