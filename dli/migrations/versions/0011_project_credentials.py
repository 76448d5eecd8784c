"""Credentials of projects: names of Secrets and service accounts."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
oldest = "0010"  # code that does not know the table goes on beside it
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "project_credentials",
        sa.Column("project_id", sa.String(length=64), nullable=False),
        sa.Column("secret", sa.String(length=253)),
        sa.Column("access_key", sa.String(length=253)),
        sa.Column("secret_key", sa.String(length=253)),
        sa.Column("service_account", sa.String(length=253)),
        sa.Column("changed_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("project_id", name=op.f("pk_project_credentials")),
    )
