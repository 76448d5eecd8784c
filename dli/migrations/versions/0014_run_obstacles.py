"""What keeps pods of a run from starting."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
oldest = "0010"  # code that does not know the column goes on beside it
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column; none means that nothing does."""
    op.add_column("runs", sa.Column("obstacle", sa.Text()))
