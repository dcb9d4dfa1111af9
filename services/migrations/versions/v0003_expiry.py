"""Refresh tokens that have expired are found without reading everything."""

from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Make the index."""
    op.create_index("refresh_tokens_expiry", "refresh_tokens", ["expires_at"])


def downgrade() -> None:
    """Remove it."""
    op.drop_index("refresh_tokens_expiry")
