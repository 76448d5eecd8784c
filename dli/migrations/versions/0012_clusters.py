"""Several clusters: in which one a job's run is, and which take nothing new."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

#: A release before this one reads and writes jobs by the names of its own columns.
oldest = "0010"


def upgrade() -> None:
    """Add them; nothing is drained, and runs are where they were."""
    op.add_column("jobs", sa.Column("cluster", sa.String(16)))
    op.create_table(
        "drained_clusters",
        sa.Column("name", sa.String(16), nullable=False),
        sa.Column("drained_at", sa.BigInteger(), nullable=False),
        sa.Column("drained_by", sa.String(64), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_drained_clusters")),
    )
