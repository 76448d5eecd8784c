"""The tables of webhooks and of what is to be delivered to them."""

from __future__ import annotations

from sqlalchemy import Column, Index, Integer, String, Table, Text

from storage.meta.schema import METADATA
from storage.meta.types import Json, UtcDateTime

webhooks = Table(
    "webhooks",
    METADATA,
    Column("id", String(64), primary_key=True),
    Column("project_id", String(64), nullable=False),
    Column("name", String(64), nullable=False),
    Column("url", Text, nullable=False),
    Column("events", Json, nullable=False),
    Column("kinds", Json, nullable=False),
    Column("labels", Json, nullable=False),
    Column("secret", String(128), nullable=False),
    Column("user_id", String(64), nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Index("uq_webhooks_name", "project_id", "name", unique=True),
)

#: The outbox. ``next_at`` is when it may be tried, moved ahead by whoever tries it.
deliveries = Table(
    "deliveries",
    METADATA,
    Column("id", String(64), primary_key=True),
    Column("webhook_id", String(64), nullable=False),
    Column("project_id", String(64), nullable=False),
    Column("event", String(32), nullable=False),
    Column("job_id", String(64)),
    Column("body", Json, nullable=False),
    Column("state", String(16), nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("next_at", UtcDateTime),
    Column("status", Integer),
    Column("error", Json),
    Column("created_at", UtcDateTime, nullable=False),
    Column("ended_at", UtcDateTime),
    Index("ix_deliveries_next", "state", "next_at"),
    Index("ix_deliveries_webhook", "webhook_id", "id"),
    Index("ix_deliveries_ended", "ended_at"),
)
