"""A clean slate: what tests made is taken away, schema, signing keys and audit log stay."""

from collections.abc import Sequence
from typing import Final

import redis

from chaos.clock import wait_for
from services.client import OrbCoreClient, WidgetCoreClient
from tests.integration.support.stack import Cursor, row

SETTLED_WITHIN_S: Final = 10.0

# As Widget Core itself deletes: the row, and the outbox entry that tells ORB Core of it.
_DELETE_ALL_BUT: Final = """
WITH w AS (DELETE FROM widgets WHERE id <> %s RETURNING *)
INSERT INTO outbox (widget_id, kind, revision, critical, payload)
SELECT id, 'remove', version, critical, payload::text FROM w"""
_USERS: Final = "DELETE FROM users WHERE email NOT LIKE %s"
_KEYS: Final = "DELETE FROM idempotency_keys"
_ONE: Final = "SELECT id::text FROM widgets LIMIT 1"
CARETAKER: Final = "caretaker-"
"""How the addresses of those begin who clean up: one for each worker, and none is removed by another."""

_REST: Final = "SELECT (SELECT count(*) FROM outbox), (SELECT count(*) FROM widgets WHERE state = 'active')"

MADE_BY_REQUESTS: Final = ("widget:*", "limit:*")
"""The keys in Redis that requests leave. Revocations stay: without their mark the gateway mistrusts Redis."""


EVERYTHING: Final = (*MADE_BY_REQUESTS, "revocations*")


def clean_stores(cursor: Cursor, widget_core: WidgetCoreClient, orb_core: OrbCoreClient) -> None:
    """Remove every widget and its native object, every idempotency key, and every user but the caretakers.

    The last widget is deleted through Widget Core, which wakes its relay: nobody waits for its next round.
    """
    cursor.execute(_ONE)
    if last := cursor.fetchone():
        cursor.execute(_DELETE_ALL_BUT, last)
        answer = widget_core.delete_widget(last[0])
        assert answer.status_code == 204, f"cleaning: {answer.status_code} {answer.text}"
    at_rest(cursor, orb_core)
    cursor.execute(_KEYS)
    cursor.execute(_USERS, [f"{CARETAKER}%"])


def at_rest(cursor: Cursor, orb_core: OrbCoreClient) -> int:
    """Return the number of widgets, once nothing is left to deliver and ORB Core holds an object for each."""

    def settled() -> tuple[int] | None:
        cursor.execute(_REST)
        waiting, active = row(cursor)
        return (active,) if not waiting and orb_core.memory().json()["live_objects"] == active else None

    return wait_for(settled, what="the record and ORB Core agree", within_s=SETTLED_WITHIN_S)[0]


def clean_cache(client: redis.Redis) -> None:
    """Remove what requests left in Redis."""
    _remove(client, MADE_BY_REQUESTS)


def empty_redis(client: redis.Redis) -> None:
    """Remove everything that the platform keeps in Redis, as if Redis had begun anew; nobody else's keys."""
    _remove(client, EVERYTHING)


def _remove(client: redis.Redis, patterns: Sequence[str]) -> None:
    for pattern in patterns:
        if keys := list(client.scan_iter(pattern, count=1000)):
            client.delete(*keys)
