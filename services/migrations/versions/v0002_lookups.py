"""Indexes for what is asked all the time: logging out, and the revocations that still matter."""

from alembic import op

revision = "0002"
down_revision = "0001"

# Logging out finds the login by its access token; the revocations are published twice a second.
UP = """
CREATE INDEX revocations_expiry ON revocations (expires_at);
CREATE INDEX refresh_tokens_access ON refresh_tokens (access_id);
"""

DOWN = "DROP INDEX refresh_tokens_access, revocations_expiry"


def upgrade() -> None:
    """Make the indexes."""
    op.get_bind().exec_driver_sql(UP)


def downgrade() -> None:
    """Remove the indexes; no row is touched."""
    op.get_bind().exec_driver_sql(DOWN)
