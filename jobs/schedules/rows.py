"""The table of schedules."""

from __future__ import annotations

from sqlalchemy import BigInteger, Boolean, Column, Index, Integer, String, Table

from storage.meta.schema import METADATA
from storage.meta.types import Json, UtcDateTime

#: ``next_at`` is ``next_due`` and its jitter, NULL while paused: what the loop looks at.
schedules = Table(
    "schedules",
    METADATA,
    Column("id", String(64), primary_key=True),
    Column("project_id", String(64), nullable=False),
    Column("name", String(64), nullable=False),
    Column("rule", Json, nullable=False),
    Column("document", Json, nullable=False),
    Column("user_id", String(64), nullable=False),
    Column("missed", String(16), nullable=False),
    Column("missed_most", Integer, nullable=False),
    Column("overlap", String(16), nullable=False),
    Column("jitter_ms", BigInteger, nullable=False),
    Column("start_at", UtcDateTime),
    Column("end_at", UtcDateTime),
    Column("paused", Boolean(create_constraint=False), nullable=False),
    Column("version", Integer, nullable=False),
    Column("next_due", UtcDateTime),
    Column("next_at", UtcDateTime, index=True),
    Column("created_at", UtcDateTime, nullable=False),
    Column("updated_at", UtcDateTime, nullable=False),
    Index("uq_schedules_name", "project_id", "name", unique=True),
)
