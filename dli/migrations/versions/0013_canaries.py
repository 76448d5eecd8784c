"""Canaries of queues, and on which image a statement ran."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

#: A release before this one runs all statements on the queue's own image.
oldest = "0010"


def upgrade() -> None:
    """Add the columns and both tables."""
    op.add_column("jobs", sa.Column("image", sa.String(length=512)))
    op.add_column("jobs", sa.Column("canary_id", sa.String(length=64)))
    op.add_column("runs", sa.Column("image", sa.String(length=512)))
    op.create_table(
        "canaries",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("project_id", sa.String(length=64), nullable=False),
        sa.Column("queue", sa.String(length=64), nullable=False),
        sa.Column("image", sa.String(length=512), nullable=False),
        sa.Column("percent", sa.Integer(), nullable=False),
        sa.Column("shadow", sa.Integer(), nullable=False),
        sa.Column("max_errors", sa.Integer()),
        sa.Column("replaces", sa.String(length=512)),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("started_at", sa.BigInteger(), nullable=False),
        sa.Column("started_by", sa.String(length=64), nullable=False),
        sa.Column("ended_at", sa.BigInteger()),
        sa.Column("ended_by", sa.String(length=64)),
        sa.Column("ended_for", sa.String(length=16)),
        sa.Column("figures", sa.Text()),
        sa.Column("dropped", sa.BigInteger(), nullable=False, server_default="0"),
        sa.PrimaryKeyConstraint("id", name="pk_canaries"),
    )
    op.create_index("ix_canaries_queue", "canaries", ["project_id", "queue", "id"])
    op.create_index(
        "ix_canaries_running",
        "canaries",
        ["project_id", "queue"],
        unique=True,
        sqlite_where=sa.text("state = 'running'"),
        postgresql_where=sa.text("state = 'running'"),
    )
    op.create_table(
        "canary_trials",
        sa.Column("canary_id", sa.String(length=64), nullable=False),
        sa.Column("job_id", sa.String(length=64), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("outcome", sa.String(length=16), nullable=False),
        sa.Column("stable_ms", sa.BigInteger()),
        sa.Column("canary_ms", sa.BigInteger()),
        sa.Column("stable_cu_ms", sa.BigInteger()),
        sa.Column("canary_cu_ms", sa.BigInteger()),
        sa.Column("stable_rows", sa.BigInteger()),
        sa.Column("canary_rows", sa.BigInteger()),
        sa.Column("stable_digest", sa.String(length=32)),
        sa.Column("canary_digest", sa.String(length=32)),
        sa.Column("code", sa.String(length=64)),
        sa.Column("message", sa.Text()),
        sa.PrimaryKeyConstraint("canary_id", "job_id", "kind", name="pk_canary_trials"),
    )
    op.create_index("ix_canary_trials_at", "canary_trials", ["at"])
