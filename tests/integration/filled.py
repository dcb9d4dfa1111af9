"""Rows as a platform has them after a while: every kind, every NULL, extremes, and text of all sorts."""

from __future__ import annotations

import json
from typing import Any, Final

from argon2 import PasswordHasher

from tests.integration.databases import Database

EMAIL: Final = "ada.lovelace+straße@example.org"
PASSWORD: Final = "correct horse battery"  # noqa: S105 - a user who lives for seconds
ADA: Final = "00000000-0000-4000-8000-000000000001"
WIDGETS: Final = 500
AUDITED: Final = 200

NAMES: Final = (
    "left gauge",
    "ü",
    "計器 𐍈 🛠",
    "e\u0301 and \u00e9",  # the same to the eye, not the same text
    "\u202eright to left",
    "x" * 100,
    " blanks at both ends ",
    "a'b\"c\\d\te\nf",
    "%(id)s {0} NULL",
)
PAYLOADS: Final[tuple[object, ...]] = (
    {},
    {"": None, "a": [1, -1, 1e-300, 123456789012345678901234567890, True, [], {}]},
    {"deep": {"er": {"and": {"so": {"on": ["𐍈"]}}}}},
    {"large": "0123456789abcdef" * 65536},
)
MOMENTS: Final = ("2026-02-28 23:59:59.999999+00", "0001-01-01 00:00:00+00", "infinity", "-infinity", "epoch")

_WIDGETS: Final = """
INSERT INTO widgets (id, name, description, payload, critical, state, version, owner, created_at, updated_at)
VALUES (gen_random_uuid(), %s, %s, %s, %s, %s, %s, %s, %s, %s)"""
_KEYS: Final = """
INSERT INTO idempotency_keys (principal, key, fingerprint, status, response)
SELECT 'user-' || n % 7, 'key-' || n, sha256(n::text::bytea), 201, repeat('ü', n) FROM generate_series(0, 300) n"""
_OUTBOX: Final = """
INSERT INTO outbox (widget_id, kind, revision, critical, payload, leased_until, attempts)
SELECT gen_random_uuid(), (ARRAY['create', 'update', 'remove'])[1 + n %% 3], 2147483647 - n, n %% 2 = 0, %s,
       (ARRAY['-infinity', 'infinity', 'now'])[1 + n %% 3]::timestamptz, n
FROM generate_series(1, 60) n"""
_GAPS: Final = "DELETE FROM outbox WHERE seq % 4 = 0"
_USER: Final = """
INSERT INTO users (id, email, password_hash, role, failures, locked_until) VALUES (%s, %s, %s, %s, %s, %s)"""
_USERS: Final = """
INSERT INTO users (id, email, password_hash, role)
SELECT gen_random_uuid(), 'user' || n || '@example.org', 'no hash', (ARRAY['viewer', 'editor'])[1 + n % 2]
FROM generate_series(1, 100) n"""
_TOKENS: Final = """
INSERT INTO refresh_tokens (digest, family, user_id, access_id, used_at, revoked_at, expires_at)
SELECT sha256(n::text::bytea), gen_random_uuid(), u.id, 'access-' || n,
       CASE WHEN n % 2 = 0 THEN now() END, CASE WHEN n % 3 = 0 THEN now() END, now() + n * interval '1 hour'
FROM (SELECT id, row_number() OVER () AS n FROM users, generate_series(1, 5)) AS u"""
_REVOCATIONS: Final = "INSERT INTO revocations VALUES (%s, %s, %s)"
_SIGNING: Final = """
INSERT INTO signing_keys (kid, sealed_key, public_key, retired_at)
VALUES ('old', %s, 'a', '2026-01-31'), ('older', '', '', 'epoch')"""
_AUDIT: Final = "SELECT audit_append(%s, %s, %s, %s) FROM generate_series(1, %s)"


def fill(database: Database) -> None:
    """Fill every table of the first schema, in one transaction."""
    connection = database.connect()
    try:
        connection.autocommit = False
        with connection, connection.cursor() as cursor:
            _widgets(cursor)
            _users(cursor)
            cursor.execute(_SIGNING, (bytes(range(256)),))
            for detail in ("", "\x1f", "ü\n"):
                cursor.execute(_AUDIT, (ADA, "login", "𐍈", detail, AUDITED // 4))
            cursor.execute(_AUDIT, ("system", "register", ADA, "x" * 5000, AUDITED - 3 * (AUDITED // 4)))
    finally:
        connection.close()


def _widgets(cursor: Any) -> None:
    for number in range(WIDGETS):
        payload = json.dumps(PAYLOADS[number % 3 if number else 3])
        name, at = NAMES[number % len(NAMES)], MOMENTS[number % len(MOMENTS)]
        state = ("active", "pending", "failed")[number % 3]
        version = 2_147_483_647 if number % 10 == 0 else number + 1
        described = "" if number % 2 else "zeile\r\n" * 200
        cursor.execute(_WIDGETS, (name, described, payload, number % 2 == 0, state, version, ADA, at, at))
    cursor.execute(_KEYS)
    cursor.execute(_OUTBOX, (json.dumps(PAYLOADS[1]),))
    cursor.execute(_GAPS)


def _users(cursor: Any) -> None:
    hashed = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1).hash(PASSWORD)
    cursor.execute(_USER, (ADA, EMAIL, hashed, "admin", 4, "epoch"))
    cursor.execute(_USERS)
    cursor.execute(_TOKENS)
    for subject, moment in (("a", 1.7976931348623157e308), ("b", 5e-324), ("c", float("nan")), ("d", -0.0)):
        cursor.execute(_REVOCATIONS, (subject, moment, "infinity"))
