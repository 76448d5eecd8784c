"""The table of firings."""

from __future__ import annotations

from sqlalchemy import Boolean, Column, Index, Integer, String, Table

from storage.meta.schema import METADATA
from storage.meta.types import Json, UtcDateTime

#: ``live`` is true while another of the source may have to wait for it: until its job has ended,
#: as far as anybody has looked. ``not_before`` is the claim of the replica that submits it.
firings = Table(
    "firings",
    METADATA,
    Column("id", String(64), primary_key=True),
    Column("project_id", String(64), nullable=False),
    Column("source_id", String(64), nullable=False),
    Column("cause", String(128), nullable=False),
    Column("due_at", UtcDateTime, nullable=False),
    Column("state", String(16), nullable=False),
    Column("reason", String(16)),
    Column("until", UtcDateTime),
    Column("exclusive", Boolean(create_constraint=False), nullable=False),
    Column("live", Boolean(create_constraint=False), nullable=False),
    Column("user_id", String(64), nullable=False),
    Column("labels", Json, nullable=False),
    Column("document", Json),
    Column("attempts", Integer, nullable=False),
    Column("not_before", UtcDateTime),
    Column("job_id", String(64)),
    Column("error", Json),
    Column("created_at", UtcDateTime, nullable=False),
    Column("ended_at", UtcDateTime),
    Index("uq_firings_cause", "source_id", "cause", unique=True),
    Index("ix_firings_source", "source_id", "id"),
    Index("ix_firings_state", "state", "not_before"),
    Index("ix_firings_live", "source_id", "live"),
    Index("ix_firings_ended", "ended_at"),
)
