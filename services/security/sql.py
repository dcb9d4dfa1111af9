"""The statements of the security service.

Each action is one statement: one round trip, and one transaction with its audit record.
"""

# ruff: noqa: S608 - put together from constants of this file; values are always parameters


def _audit(action: str, source: str, *, actor: str, subject: str, detail: str = "''") -> str:
    call = f"audit_append({actor}, '{action}', {subject}, {detail})"
    return f"a AS (SELECT CASE WHEN %(audit)s THEN {call} END AS seq FROM {source})"


USER = "SELECT id::text, email, role, password_hash, locked_until > now(), {left} FROM users".format(
    left="greatest(0, extract(epoch FROM locked_until - now()))::float"
)
BY_EMAIL = f"{USER} WHERE email = %(email)s"
BY_ID = "SELECT id::text, email, role FROM users WHERE id = %(id)s"

REGISTER = f"""
WITH u AS (
    INSERT INTO users (id, email, password_hash, role)
    VALUES (%(id)s, %(email)s, %(hash)s, %(role)s) RETURNING *),
{_audit("register", "u", actor="u.id::text", subject="u.id::text", detail="u.role")}
SELECT u.id::text, u.email, u.role FROM u, a"""

BOOTSTRAP = f"""
WITH u AS (
    INSERT INTO users (id, email, password_hash, role)
    VALUES (%(id)s, %(email)s, %(hash)s, 'admin') ON CONFLICT (email) DO NOTHING RETURNING *),
{_audit("bootstrap-admin", "u", actor="'system'", subject="u.id::text")}
SELECT u.id::text FROM u, a"""

FAILED = f"""
WITH u AS (
    UPDATE users SET failures = CASE WHEN failures + 1 >= %(most)s THEN 0 ELSE failures + 1 END,
        locked_until = CASE WHEN failures + 1 >= %(most)s
            THEN now() + make_interval(secs => %(lock)s) ELSE locked_until END
    WHERE id = %(id)s RETURNING *),
{_audit("login-failed", "u", actor="u.id::text", subject="u.id::text")}
SELECT u.failures FROM u, a"""

COUNTED = """
UPDATE users SET failures = CASE WHEN failures + 1 >= %(most)s THEN 0 ELSE failures + 1 END,
    locked_until = CASE WHEN failures + 1 >= %(most)s
        THEN now() + make_interval(secs => %(lock)s) ELSE locked_until END
WHERE id = %(id)s RETURNING failures"""

LOGIN = f"""
WITH u AS (UPDATE users SET failures = CASE WHEN %(forgive)s THEN 0 ELSE failures END
           WHERE id = %(id)s RETURNING *),
t AS (INSERT INTO refresh_tokens (digest, family, user_id, access_id, expires_at)
      SELECT %(digest)s, %(family)s, u.id, %(access)s, now() + make_interval(secs => %(life)s)
      FROM u RETURNING *),
{_audit("login", "t", actor="t.user_id::text", subject="t.family::text")}
SELECT t.family::text FROM t, a"""

GIVEN_OUT = """
SELECT t.family::text, u.id::text, u.role, t.used_at IS NOT NULL,
       t.revoked_at IS NOT NULL OR t.expires_at < now()
FROM refresh_tokens t JOIN users u ON u.id = t.user_id WHERE t.digest = %(old)s"""

# The token is used up in the statement that makes its successor: of two who come with the
# same token, one finds it used.
ROTATE = f"""
WITH t AS (
    UPDATE refresh_tokens SET used_at = now()
    WHERE digest = %(old)s AND (used_at IS NULL OR NOT %(once)s)
      AND revoked_at IS NULL AND expires_at >= now()
    RETURNING *),
n AS (INSERT INTO refresh_tokens (digest, family, user_id, access_id, expires_at)
      SELECT %(digest)s, t.family, t.user_id, %(access)s, now() + make_interval(secs => %(life)s)
      FROM t RETURNING *),
{_audit("refresh", "n", actor="n.user_id::text", subject="n.family::text")}
SELECT n.family::text FROM n, a"""

REVOKE_FAMILY = f"""
WITH t AS (UPDATE refresh_tokens SET revoked_at = now() WHERE family = %(family)s RETURNING *),
r AS (INSERT INTO revocations (subject, not_before, expires_at)
      SELECT DISTINCT 'jti:' || t.access_id, %(now)s, now() + make_interval(secs => %(access_life)s) FROM t
      ON CONFLICT DO NOTHING),
one AS (SELECT t.family::text, t.user_id::text FROM t LIMIT 1),
{_audit("refresh-reused", "one", actor="one.user_id", subject="one.family")}
SELECT a.seq FROM a"""

LOGOUT = f"""
WITH f AS (SELECT family FROM refresh_tokens WHERE access_id = %(access)s LIMIT 1),
t AS (UPDATE refresh_tokens SET revoked_at = now()
      WHERE family = (SELECT family FROM f) AND user_id = %(id)s RETURNING *),
one AS (SELECT %(access)s::text AS access),
r AS (INSERT INTO revocations (subject, not_before, expires_at)
      SELECT DISTINCT 'jti:' || x, %(now)s, now() + make_interval(secs => %(access_life)s)
      FROM (SELECT access AS x FROM one UNION SELECT access_id FROM t) AS ids
      ON CONFLICT DO NOTHING),
{_audit("logout", "one", actor="%(id)s::text", subject="one.access")}
SELECT a.seq FROM a"""

SET_ROLE = f"""
WITH u AS (UPDATE users SET role = %(role)s WHERE id = %(id)s RETURNING *),
r AS (INSERT INTO revocations (subject, not_before, expires_at)
      SELECT 'sub:' || u.id, %(now)s, now() + make_interval(secs => %(access_life)s) FROM u
      ON CONFLICT (subject) DO UPDATE
      SET not_before = EXCLUDED.not_before, expires_at = EXCLUDED.expires_at),
{_audit("role-changed", "u", actor="%(actor)s", subject="u.id::text", detail="u.role")}
SELECT u.id::text, u.email, u.role FROM u, a"""

REVOCATIONS = """
SELECT subject, not_before, extract(epoch FROM expires_at)::float
FROM revocations WHERE expires_at > now()"""

REVOKED = """
SELECT 1 FROM revocations
WHERE subject IN ('jti:' || %(access)s, 'sub:' || %(id)s) AND not_before > %(issued)s"""

KEYS = """
SELECT kid, public_key, sealed_key FROM signing_keys
WHERE retired_at IS NULL OR retired_at > now() - make_interval(secs => %(access_life)s)
ORDER BY retired_at IS NULL DESC, created_at DESC"""

FIRST_KEY = """
INSERT INTO signing_keys (kid, sealed_key, public_key)
SELECT %(kid)s, %(sealed)s, %(public)s
WHERE pg_advisory_xact_lock(7215005) IS NOT NULL
  AND NOT EXISTS (SELECT 1 FROM signing_keys WHERE retired_at IS NULL)"""

ROTATE_KEY = f"""
WITH old AS (UPDATE signing_keys SET retired_at = now() WHERE retired_at IS NULL),
n AS (INSERT INTO signing_keys (kid, sealed_key, public_key)
      VALUES (%(kid)s, %(sealed)s, %(public)s) RETURNING *),
{_audit("key-rotated", "n", actor="%(actor)s", subject="n.kid")}
SELECT n.kid FROM n, a"""

AUDIT_APPEND = "SELECT audit_append(%(actor)s, %(action)s, %(subject)s, %(detail)s)"
AUDIT_LOG = "SELECT seq, at, actor, action, subject, detail, digest FROM audit_log ORDER BY seq"
