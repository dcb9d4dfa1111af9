"""The statements of the security service.

Each action is one statement: one round trip, and one transaction with its audit record.
"""

# ruff: noqa: S608 - put together from constants of this file; values are always parameters


def _audit(action: str, source: str, *, actor: str, subject: str, detail: str = "''") -> str:
    call = f"audit_append({actor}, '{action}', {subject}, {detail})"
    return f"a AS (SELECT CASE WHEN %(audit)s THEN {call} END AS seq FROM {source})"


# A token's `iat`, and what is revoked until when, are taken under the same lock by the same clock:
# a token of the role before a change is older than the change.
MOMENT = "extract(epoch FROM clock_timestamp())::float8"

USER = """SELECT id::text, password_hash, greatest(0, extract(epoch FROM locked_until - now()))::float, failures
FROM users"""
BY_EMAIL = f"{USER} WHERE email = %(email)s"
BY_ID = "SELECT id::text, email, role FROM users WHERE id = %(id)s"

REGISTER = f"""
WITH u AS (
    INSERT INTO users (id, email, password_hash, role)
    VALUES (%(id)s, %(email)s, %(hash)s, %(role)s) RETURNING *),
{_audit("register", "u", actor="u.id::text", subject="u.id::text", detail="u.role")}
SELECT u.id::text, u.email, u.role FROM u, a"""

OVERWRITE = REGISTER.replace(  # a planted defect
    "%(role)s) RETURNING",
    "%(role)s) ON CONFLICT (email) DO UPDATE SET password_hash = EXCLUDED.password_hash RETURNING",
)

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

FAILED_AS_SEEN = FAILED.replace("failures + 1", "%(seen)s + 1")  # a planted defect

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
SELECT u.role, {MOMENT} FROM u, t, a"""

GIVEN_OUT = """
SELECT t.family::text, u.id::text, t.used_at IS NOT NULL,
       t.revoked_at IS NOT NULL OR t.expires_at < now()
FROM refresh_tokens t JOIN users u ON u.id = t.user_id WHERE t.digest = %(old)s"""

# The token is used up in the statement that makes its successor: of two who come with the
# same token, one finds it used. The user's row is locked for his role, as in a login.
ROTATE = f"""
WITH t AS (
    UPDATE refresh_tokens SET used_at = now()
    WHERE digest = %(old)s AND (used_at IS NULL OR NOT %(once)s)
      AND revoked_at IS NULL AND expires_at >= now()
    RETURNING *),
u AS (SELECT users.role FROM users, t WHERE users.id = t.user_id FOR SHARE OF users),
n AS (INSERT INTO refresh_tokens (digest, family, user_id, access_id, expires_at)
      SELECT %(digest)s, t.family, t.user_id, %(access)s, now() + make_interval(secs => %(life)s)
      FROM t, u RETURNING *),
{_audit("refresh", "n", actor="n.user_id::text", subject="n.family::text")}
SELECT u.role, {MOMENT} FROM u, n, a"""

REVOKE_FAMILY = f"""
WITH t AS (UPDATE refresh_tokens SET revoked_at = now() WHERE family = %(family)s RETURNING *),
r AS (INSERT INTO revocations (subject, not_before, expires_at)
      SELECT DISTINCT 'jti:' || t.access_id, {MOMENT}, now() + make_interval(secs => %(access_life)s) FROM t
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
      SELECT DISTINCT 'jti:' || x, {MOMENT}, now() + make_interval(secs => %(access_life)s)
      FROM (SELECT access AS x FROM one UNION SELECT access_id FROM t) AS ids
      ON CONFLICT DO NOTHING),
{_audit("logout", "one", actor="%(id)s::text", subject="one.access")}
SELECT a.seq FROM a"""

SET_ROLE = f"""
WITH u AS (UPDATE users SET role = %(role)s WHERE id = %(id)s RETURNING *),
r AS (INSERT INTO revocations (subject, not_before, expires_at)
      SELECT 'sub:' || u.id, {MOMENT}, now() + make_interval(secs => %(access_life)s) FROM u
      ON CONFLICT (subject) DO UPDATE
      SET not_before = EXCLUDED.not_before, expires_at = EXCLUDED.expires_at),
{_audit("role-changed", "u", actor="%(actor)s", subject="u.id::text", detail="u.role")}
SELECT u.id::text, u.email, u.role FROM u, a"""

REVOCATIONS = """
SELECT subject, not_before, extract(epoch FROM expires_at)::float
FROM revocations WHERE expires_at > now()"""

REVOKED = """
SELECT 1 FROM revocations
WHERE subject IN ('jti:' || %(access)s, 'sub:' || %(id)s) AND not_before >= %(issued)s"""

# The first of them signs: the newest that was published long enough ago, else the oldest. What
# is retired goes on signing until its successor does, and is published as long as its tokens live.
KEYS = """
SELECT kid, public_key, sealed_key
FROM signing_keys, LATERAL (SELECT created_at <= now() - make_interval(secs => %(ahead)s) AS known) k
WHERE retired_at IS NULL OR retired_at > now() - make_interval(secs => %(access_life)s + 2 * %(ahead)s)
ORDER BY known DESC, CASE WHEN known THEN now() - created_at ELSE created_at - now() END"""

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

# Expired tokens are refused without being looked up, and expired revocations concern only them.
PURGE_TOKENS = """
WITH gone AS (
    DELETE FROM refresh_tokens WHERE digest IN (
        SELECT digest FROM refresh_tokens WHERE expires_at < now() ORDER BY expires_at LIMIT %(most)s)
    RETURNING 1)
SELECT count(*) FROM gone"""

PURGE_REVOCATIONS = """
WITH gone AS (
    DELETE FROM revocations WHERE subject IN (
        SELECT subject FROM revocations WHERE expires_at < now() ORDER BY expires_at LIMIT %(most)s)
      AND expires_at < now()
    RETURNING 1)
SELECT count(*) FROM gone"""

# A key is published for some minutes after it was retired; a day later not even its private part is kept.
PURGE_KEYS = """
WITH gone AS (
    DELETE FROM signing_keys WHERE kid IN (
        SELECT kid FROM signing_keys WHERE retired_at < now() - interval '1 day' LIMIT %(most)s)
    RETURNING 1)
SELECT count(*) FROM gone"""

AUDIT_APPEND = "SELECT audit_append(%(actor)s, %(action)s, %(subject)s, %(detail)s)"
AUDIT_LOG = "SELECT seq, at, actor, action, subject, detail, digest FROM audit_log ORDER BY seq"
