"""The tables of canaries: each with its end, and what became of the statements they met."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Index, Integer, String, Table, Text, text

from storage.meta.schema import METADATA
from storage.meta.types import Json, UtcDateTime

_RUNNING = text("state = 'running'")

canaries = Table(
    "canaries",
    METADATA,
    Column("id", String(64), primary_key=True),
    Column("project_id", String(64), nullable=False),
    Column("queue", String(64), nullable=False),
    Column("image", String(512), nullable=False),
    Column("percent", Integer, nullable=False),
    Column("shadow", Integer, nullable=False),
    Column("max_errors", Integer),
    Column("replaces", String(512)),
    Column("state", String(16), nullable=False),
    Column("started_at", UtcDateTime, nullable=False),
    Column("started_by", String(64), nullable=False),
    Column("ended_at", UtcDateTime),
    Column("ended_by", String(64)),
    Column("ended_for", String(16)),
    Column("figures", Json),
    Column("dropped", BigInteger, nullable=False, server_default="0"),
    Index("ix_canaries_queue", "project_id", "queue", "id"),
    # One at a time for each queue, whoever starts them at once.
    Index(
        "ix_canaries_running",
        "project_id",
        "queue",
        unique=True,
        sqlite_where=_RUNNING,
        postgresql_where=_RUNNING,
    ),
)

#: ``kind`` is "split" for a statement that ran on the canary, "shadow" for one that was repeated
#: there. Milliseconds are of the engine, costs are milliseconds of a compute unit.
canary_trials = Table(
    "canary_trials",
    METADATA,
    Column("canary_id", String(64), primary_key=True),
    Column("job_id", String(64), primary_key=True),
    Column("kind", String(16), primary_key=True),
    Column("at", UtcDateTime, nullable=False, index=True),
    Column("outcome", String(16), nullable=False),
    Column("stable_ms", BigInteger),
    Column("canary_ms", BigInteger),
    Column("stable_cu_ms", BigInteger),
    Column("canary_cu_ms", BigInteger),
    Column("stable_rows", BigInteger),
    Column("canary_rows", BigInteger),
    Column("stable_digest", String(32)),
    Column("canary_digest", String(32)),
    Column("code", String(64)),
    Column("message", Text),
)
