"""What is left of jobs that were forgotten, and of logs."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the table of forgotten jobs, and a mark for logs that were removed."""
    op.create_table(
        "past_jobs",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("project_id", sa.String(length=64), nullable=False),
        sa.Column("user_id", sa.String(length=64), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("queue", sa.String(length=64), nullable=False),
        sa.Column("engine", sa.String(length=16)),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("ended_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_past_jobs"),
    )
    op.create_index("ix_past_jobs_ended_at", "past_jobs", ["ended_at"])
    op.add_column("runs", sa.Column("log_removed_at", sa.BigInteger()))
