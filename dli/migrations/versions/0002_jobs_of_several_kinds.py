"""Jobs of several kinds: priority, reservations, pipeline runs; runs that are no engines."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add columns; what is there keeps its meaning."""
    with op.batch_alter_table("jobs") as jobs:
        jobs.add_column(sa.Column("priority", sa.Integer(), nullable=False, server_default="0"))
        jobs.add_column(sa.Column("parent_id", sa.String(length=64)))
        jobs.add_column(sa.Column("node", sa.String(length=128)))
        jobs.add_column(
            sa.Column("cpu_millis", sa.BigInteger(), nullable=False, server_default="0")
        )
        jobs.add_column(
            sa.Column("memory_bytes", sa.BigInteger(), nullable=False, server_default="0")
        )
        jobs.add_column(sa.Column("client_until", sa.BigInteger()))
        jobs.add_column(sa.Column("facts", sa.Text()))
        jobs.create_index("ix_jobs_parent_id", ["parent_id"])
        jobs.create_index("ix_jobs_listed", ["project_id", "state", "id"])
    with op.batch_alter_table("runs") as runs:
        runs.alter_column("engine", existing_type=sa.String(length=16), nullable=True)
        runs.add_column(
            sa.Column("kind", sa.String(length=16), nullable=False, server_default="engine")
        )
        runs.add_column(sa.Column("job_id", sa.String(length=64)))
        runs.add_column(sa.Column("attempt", sa.Integer()))
        runs.add_column(sa.Column("peak_memory", sa.BigInteger()))
        runs.add_column(
            sa.Column("cpu_millis", sa.BigInteger(), nullable=False, server_default="0")
        )
        runs.add_column(
            sa.Column("memory_bytes", sa.BigInteger(), nullable=False, server_default="0")
        )
        runs.add_column(sa.Column("facts", sa.Text()))
        runs.create_index("ix_runs_job_id", ["job_id"])
