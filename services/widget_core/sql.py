"""The statements of the record.

Each mutation is one statement, so it is one round trip and one transaction: the effect, the
outbox entry, and the key with its response.
"""

# ruff: noqa: S608 - put together from constants of this file; values are always parameters

BODY = """json_build_object(
    'id', w.id, 'name', w.name, 'description', w.description, 'payload', w.payload,
    'critical', w.critical, 'state', w.state, 'version', w.version, 'owner', w.owner,
    'created_at', w.created_at, 'updated_at', w.updated_at)::text"""
ROW = f"w.id::text, w.version, w.state, {BODY}"

OUTBOX = """
o AS (INSERT INTO outbox (widget_id, kind, revision, critical, payload, leased_until)
      SELECT w.id, %(kind)s, w.version, w.critical, w.payload::text,
             now() + make_interval(secs => %(lease)s)
      FROM w WHERE %(outbox)s ORDER BY w.created_at, w.id RETURNING seq)"""

KEY = """
k AS (INSERT INTO idempotency_keys (principal, key, fingerprint, status, response)
      SELECT %(principal)s, %(key)s, %(fingerprint)s, {status}, {response}
      WHERE %(key)s IS NOT NULL {when})"""

ONE = f"(SELECT {BODY} FROM w)"
MANY = f"""(SELECT '{{"widgets":[' || string_agg({BODY}, ',' ORDER BY w.created_at) || ']}}' FROM w)"""
KEY_MADE = KEY.format(status=201, response=ONE, when="")
KEY_MANY = KEY.format(status=201, response=MANY, when="")
KEY_CHANGED = KEY.format(status=200, response=ONE, when="AND EXISTS (SELECT 1 FROM w)")
KEY_GONE = KEY.format(status=204, response="''", when="AND EXISTS (SELECT 1 FROM w)")

GET = f"SELECT {ROW} FROM widgets w WHERE w.id = %(id)s"

NATIVE = "SELECT w.critical, w.payload::text, w.version FROM widgets w WHERE w.id = %(id)s"

PAGE = f"""
SELECT {ROW}, w.created_at::text FROM widgets w
WHERE (w.created_at, w.id) > (%(at)s::timestamptz, %(id)s::uuid)
ORDER BY w.created_at, w.id LIMIT %(limit)s"""

CREATE = f"""
WITH w AS (
    INSERT INTO widgets (id, name, description, payload, critical, state, owner)
    VALUES (%(id)s, %(name)s, %(description)s, %(payload)s, %(critical)s, 'pending', %(principal)s)
    RETURNING *),
{OUTBOX},
{KEY_MADE}
SELECT {ROW}, (SELECT seq FROM o) FROM w"""

CREATE_MANY = f"""
WITH w AS (
    INSERT INTO widgets (id, name, description, payload, critical, state, owner)
    SELECT r.id, r.name, r.description, r.payload, r.critical, 'pending', %(principal)s
    FROM jsonb_to_recordset(%(rows)s)
         AS r (id uuid, name text, description text, payload jsonb, critical boolean)
    RETURNING *),
{OUTBOX},
{KEY_MANY}
SELECT {ROW}, NULL::bigint FROM w ORDER BY w.created_at"""

UPDATE = f"""
WITH w AS (
    UPDATE widgets SET
        name = coalesce(%(name)s, name), description = coalesce(%(description)s, description),
        payload = coalesce(%(payload)s::jsonb, payload),
        critical = coalesce(%(critical)s, critical),
        state = CASE state WHEN 'failed' THEN 'pending' ELSE state END,
        version = version + 1, updated_at = clock_timestamp()
    WHERE id = %(id)s AND version = coalesce(%(version)s, version)
      AND (%(key)s IS NULL OR NOT EXISTS (
          SELECT 1 FROM idempotency_keys WHERE principal = %(principal)s AND key = %(key)s))
    RETURNING *),
{OUTBOX},
{KEY_CHANGED}
SELECT {ROW}, (SELECT seq FROM o) FROM w"""

LOCK_TABLE = "LOCK TABLE widgets IN EXCLUSIVE MODE;"  # a planted defect

DELETE = f"""
WITH w AS (
    DELETE FROM widgets
    WHERE id = %(id)s AND version = coalesce(%(version)s, version)
      AND (%(key)s IS NULL OR NOT EXISTS (
          SELECT 1 FROM idempotency_keys WHERE principal = %(principal)s AND key = %(key)s))
    RETURNING *),
{OUTBOX},
{KEY_GONE}
SELECT {ROW}, (SELECT seq FROM o) FROM w"""

WHY_NOT = """
SELECT k.fingerprint, k.status, k.response, w.version
FROM (SELECT 1) AS one
LEFT JOIN idempotency_keys k ON k.principal = %(principal)s AND k.key = %(key)s
LEFT JOIN widgets w ON w.id = %(id)s"""

# Only the first request answers with the activated body: it replaces the stored response in
# the transaction that activates. A relay that finishes later leaves the response alone, for
# by then "pending" is what the client was told.
ACTIVATE = f"""
WITH w AS (
    UPDATE widgets SET state = 'active' WHERE id = %(id)s AND state = 'pending' RETURNING *),
o AS (DELETE FROM outbox WHERE seq = %(seq)s),
k AS (UPDATE idempotency_keys SET response = (SELECT {BODY} FROM w)
      WHERE principal = %(principal)s AND key = %(key)s AND EXISTS (SELECT 1 FROM w))
SELECT {ROW} FROM w"""

UNDO = """
WITH o AS (DELETE FROM outbox WHERE widget_id = %(id)s),
     k AS (DELETE FROM idempotency_keys WHERE principal = %(principal)s AND key = %(key)s)
DELETE FROM widgets WHERE id = %(id)s"""

CLAIM = """
UPDATE outbox SET attempts = attempts + 1, leased_until = now() + make_interval(secs => %(lease)s)
WHERE seq IN (
    SELECT o.seq FROM outbox o
    WHERE o.leased_until < now() AND NOT EXISTS (
        SELECT 1 FROM outbox p WHERE p.widget_id = o.widget_id AND p.seq < o.seq)
    ORDER BY o.seq LIMIT %(limit)s FOR UPDATE SKIP LOCKED)
RETURNING seq, widget_id::text, kind, revision, critical, payload, op_id::text"""

DELIVERED = f"""
WITH w AS (
    UPDATE widgets SET state = 'active'
    WHERE id = ANY(%(made)s::uuid[]) AND state = 'pending' RETURNING *),
o AS (DELETE FROM outbox WHERE seq = ANY(%(seqs)s))
SELECT {ROW} FROM w"""

# A widget that has changed meanwhile has a later entry, which decides.
REFUSED = f"""
WITH w AS (
    UPDATE widgets v SET state = 'failed'
    FROM unnest(%(ids)s::uuid[], %(revisions)s) AS r (id, revision)
    WHERE v.id = r.id AND v.version = r.revision RETURNING v.*),
o AS (DELETE FROM outbox WHERE seq = ANY(%(seqs)s))
SELECT {ROW} FROM w"""

MARK = "DELETE FROM outbox WHERE seq = ANY(%(seqs)s)"
RELEASE = "UPDATE outbox SET leased_until = '-infinity' WHERE seq = ANY(%(seqs)s)"

CENSUS = """
SELECT (SELECT count(*) FROM widgets WHERE state <> 'failed'), EXISTS (SELECT 1 FROM outbox)"""

RECORDED = """
SELECT w.id::text, w.version FROM widgets w
WHERE w.id > %(after)s AND (%(last)s::uuid IS NULL OR w.id <= %(last)s) AND w.state <> 'failed'
  AND NOT EXISTS (SELECT 1 FROM outbox o WHERE o.widget_id = w.id)
ORDER BY w.id LIMIT %(limit)s"""

ORPHANS = """
SELECT u.id FROM unnest(%(ids)s) AS u (id)
WHERE NOT EXISTS (SELECT 1 FROM widgets w WHERE w.id = u.id::uuid)
  AND NOT EXISTS (SELECT 1 FROM outbox o WHERE o.widget_id = u.id::uuid)"""

ENQUEUE = """
INSERT INTO outbox (widget_id, kind, revision, critical, payload)
SELECT w.id, %(kind)s, w.version, w.critical, w.payload::text FROM widgets w
WHERE w.id = ANY(%(ids)s::uuid[]) AND w.state <> 'failed'
  AND NOT EXISTS (SELECT 1 FROM outbox o WHERE o.widget_id = w.id)"""

PURGE = """
WITH gone AS (
    DELETE FROM idempotency_keys WHERE ctid = ANY (ARRAY(
        SELECT ctid FROM idempotency_keys
        WHERE created_at < now() - make_interval(hours => %(hours)s) LIMIT %(limit)s))
    RETURNING 1)
SELECT count(*) FROM gone"""
