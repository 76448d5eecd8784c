"""Weights of users in queues."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """All users of a queue have the same weight until somebody says otherwise."""
    op.add_column("queues", sa.Column("user_weights", sa.Text()))
