"""What queues say of pods."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column; none means the defaults."""
    op.add_column("queues", sa.Column("pods", sa.Text()))
