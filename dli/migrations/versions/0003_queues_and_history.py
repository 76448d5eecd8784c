"""Queues with more limits, and what programs used before."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add columns and tables; what is there keeps its meaning."""
    with op.batch_alter_table("queues") as queues:
        queues.add_column(
            sa.Column("state", sa.String(length=16), nullable=False, server_default="open")
        )
        for name in ("kinds", "engines", "conf_allowed"):
            queues.add_column(sa.Column(name, sa.Text()))
        for name, default in (
            ("min_cu", "0"),
            ("min_priority", "-10"),
            ("max_priority", "10"),
            ("default_priority", "0"),
            ("overcommit", "100"),
            ("weight", "1"),
        ):
            queues.add_column(sa.Column(name, sa.Integer(), nullable=False, server_default=default))
        queues.add_column(sa.Column("max_running_per_user", sa.Integer()))
        queues.add_column(sa.Column("max_timeout_ms", sa.BigInteger()))
        queues.add_column(sa.Column("monthly_budget", sa.BigInteger()))
    with op.batch_alter_table("jobs") as jobs:
        jobs.add_column(sa.Column("turn", sa.BigInteger(), nullable=False, server_default="0"))
    op.execute("UPDATE jobs SET turn = created_at - priority * 600000")
    op.drop_index("ix_jobs_place", "jobs")
    runs = sa.text("state IN ('starting', 'running', 'publishing', 'cancelling')")
    op.create_index(
        "ix_jobs_running",
        "jobs",
        ["project_id", "queue"],
        sqlite_where=runs,
        postgresql_where=runs,
    )
    op.create_index(
        "ix_jobs_waiting",
        "jobs",
        ["project_id", "queue", "user_id", "turn", "id"],
        sqlite_where=sa.text("state = 'queued'"),
        postgresql_where=sa.text("state = 'queued'"),
    )
    op.create_table(
        "capacities",
        sa.Column("place", sa.String(length=128), nullable=False),
        sa.Column("cpu_millis", sa.BigInteger(), nullable=False),
        sa.Column("memory_bytes", sa.BigInteger(), nullable=False),
        sa.Column("seen_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("place", name=op.f("pk_capacities")),
    )
    with op.batch_alter_table("charges") as charges:
        charges.add_column(sa.Column("queue", sa.String(length=64)))
    op.create_table(
        "queue_spending",
        sa.Column("project_id", sa.String(length=64), nullable=False),
        sa.Column("queue", sa.String(length=64), nullable=False),
        sa.Column("month", sa.String(length=7), nullable=False),
        sa.Column("reserved", sa.BigInteger(), nullable=False),
        sa.Column("spent", sa.BigInteger(), nullable=False),
        sa.CheckConstraint(
            "reserved >= 0 AND spent >= 0", name=op.f("ck_queue_spending_not_negative")
        ),
        sa.PrimaryKeyConstraint("project_id", "queue", "month", name=op.f("pk_queue_spending")),
    )
    op.create_table(
        "history",
        sa.Column("job_id", sa.String(length=64), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("project_id", sa.String(length=64), nullable=False),
        sa.Column("queue", sa.String(length=64), nullable=False),
        sa.Column("fingerprint", sa.String(length=64), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("outcome", sa.String(length=16), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("wall_ms", sa.BigInteger(), nullable=False),
        sa.Column("cpu_ms", sa.BigInteger()),
        sa.Column("peak_memory", sa.BigInteger()),
        sa.Column("spill_bytes", sa.BigInteger()),
        sa.Column("cpu_millis", sa.BigInteger(), nullable=False),
        sa.Column("memory_bytes", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("job_id", "attempt", name=op.f("pk_history")),
    )
    op.create_index("history_by_fingerprint", "history", ["project_id", "fingerprint", "at"])
    op.create_index("history_by_queue", "history", ["project_id", "queue", "at"])
