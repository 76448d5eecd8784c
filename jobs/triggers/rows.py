"""The tables of triggers, and of the objects that they have seen."""

from __future__ import annotations

from sqlalchemy import Boolean, Column, Index, String, Table

from storage.meta.schema import METADATA
from storage.meta.types import Json, UtcDateTime

#: ``next_poll_at`` is set for objects only, and moved ahead by whoever looks.
triggers = Table(
    "triggers",
    METADATA,
    Column("id", String(64), primary_key=True),
    Column("project_id", String(64), nullable=False),
    Column("name", String(64), nullable=False),
    Column("kind", String(16), nullable=False),
    Column("condition", Json, nullable=False),
    Column("document", Json, nullable=False),
    Column("user_id", String(64), nullable=False),
    Column("paused", Boolean(create_constraint=False), nullable=False),
    Column("secret", String(128)),
    Column("next_poll_at", UtcDateTime, index=True),
    Column("polled_at", UtcDateTime),
    Column("error", Json),
    Column("created_at", UtcDateTime, nullable=False),
    Index("uq_triggers_name", "project_id", "name", unique=True),
)

#: ``digest`` is of the address and the etag: an object that is written again is another.
trigger_objects = Table(
    "trigger_objects",
    METADATA,
    Column("trigger_id", String(64), primary_key=True),
    Column("digest", String(64), primary_key=True),
    Column("seen_at", UtcDateTime, nullable=False),
)
