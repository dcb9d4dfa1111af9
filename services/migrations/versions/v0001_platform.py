"""Widgets, their idempotency keys and outbox; users, tokens, signing keys and the audit log."""

from alembic import op

revision = "0001"
down_revision = None

UP = """
CREATE TABLE widgets (
    id uuid PRIMARY KEY,
    name text NOT NULL CHECK (char_length(name) BETWEEN 1 AND 100),
    description text NOT NULL DEFAULT '',
    payload jsonb NOT NULL DEFAULT '{}',
    critical boolean NOT NULL DEFAULT false,
    state text NOT NULL CHECK (state IN ('pending', 'active', 'failed')),
    version integer NOT NULL DEFAULT 1 CHECK (version > 0),
    owner text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    updated_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE INDEX widgets_page ON widgets (created_at, id);

-- The response is stored in the transaction of the effect it reports.
CREATE TABLE idempotency_keys (
    principal text NOT NULL,
    key text NOT NULL,
    fingerprint bytea NOT NULL,
    status integer NOT NULL,
    response text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (principal, key)
);
CREATE INDEX idempotency_keys_age ON idempotency_keys (created_at);

-- What ORB Core has still to hear, in order per widget. An entry is deleted once delivered.
CREATE TABLE outbox (
    seq bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    widget_id uuid NOT NULL,
    kind text NOT NULL CHECK (kind IN ('create', 'update', 'remove')),
    revision integer NOT NULL,
    critical boolean NOT NULL,
    payload text NOT NULL,
    op_id uuid NOT NULL DEFAULT gen_random_uuid(),
    leased_until timestamptz NOT NULL DEFAULT '-infinity',
    attempts integer NOT NULL DEFAULT 0
);
CREATE INDEX outbox_widget ON outbox (widget_id, seq);

CREATE TABLE users (
    id uuid PRIMARY KEY,
    email text NOT NULL UNIQUE,
    password_hash text NOT NULL,
    role text NOT NULL CHECK (role IN ('viewer', 'editor', 'admin')),
    failures integer NOT NULL DEFAULT 0,
    locked_until timestamptz NOT NULL DEFAULT 'epoch',
    created_at timestamptz NOT NULL DEFAULT now()
);

-- One row per refresh token ever given out; a family is what came from one login.
CREATE TABLE refresh_tokens (
    digest bytea PRIMARY KEY,
    family uuid NOT NULL,
    user_id uuid NOT NULL REFERENCES users ON DELETE CASCADE,
    access_id text NOT NULL,
    used_at timestamptz,
    revoked_at timestamptz,
    expires_at timestamptz NOT NULL
);
CREATE INDEX refresh_tokens_family ON refresh_tokens (family);
CREATE INDEX refresh_tokens_user ON refresh_tokens (user_id);

-- Tokens that are refused before they expire: one by its id, or all of a user until a moment.
CREATE TABLE revocations (
    subject text PRIMARY KEY,
    not_before double precision NOT NULL,
    expires_at timestamptz NOT NULL
);

CREATE TABLE signing_keys (
    kid text PRIMARY KEY,
    sealed_key bytea NOT NULL,
    public_key text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    retired_at timestamptz
);

-- Each record's digest covers the digest before it: nothing can be changed or taken out unseen.
CREATE TABLE audit_log (
    seq bigint PRIMARY KEY,
    at text NOT NULL,
    actor text NOT NULL,
    action text NOT NULL,
    subject text NOT NULL,
    detail text NOT NULL,
    digest bytea NOT NULL
);
CREATE FUNCTION audit_append(actor text, action text, subject text, detail text) RETURNS bigint
LANGUAGE plpgsql AS $$
DECLARE
    before audit_log;
    moment text := to_char(clock_timestamp() AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"');
    number bigint;
BEGIN
    PERFORM pg_advisory_xact_lock(7215004);
    SELECT * INTO before FROM audit_log ORDER BY seq DESC LIMIT 1;
    number := coalesce(before.seq, 0) + 1;
    INSERT INTO audit_log VALUES (number, moment, actor, action, subject, detail, sha256(
        coalesce(before.digest, ''::bytea)
        || convert_to(concat_ws(E'\\x1f', number, moment, actor, action, subject, detail), 'UTF8')));
    RETURN number;
END $$;
CREATE FUNCTION audit_is_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'the audit log is append-only';
END $$;
CREATE TRIGGER audit_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_log
    FOR EACH STATEMENT EXECUTE FUNCTION audit_is_append_only();
"""

DOWN = """
DROP TABLE audit_log, signing_keys, revocations, refresh_tokens, users, outbox, idempotency_keys, widgets;
DROP FUNCTION audit_is_append_only();
DROP FUNCTION audit_append(text, text, text, text);
"""


def upgrade() -> None:
    """Make everything."""
    op.get_bind().exec_driver_sql(UP)


def downgrade() -> None:
    """Remove everything."""
    op.get_bind().exec_driver_sql(DOWN)
