"""What programs and statements used before, an attempt a row."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Index, Integer, String, Table

from storage.meta.schema import METADATA
from storage.meta.types import UtcDateTime

history = Table(
    "history",
    METADATA,
    Column("job_id", String(64), primary_key=True),
    Column("attempt", Integer, primary_key=True, autoincrement=False),
    Column("project_id", String(64), nullable=False),
    Column("queue", String(64), nullable=False),
    Column("fingerprint", String(64), nullable=False),
    Column("kind", String(16), nullable=False),
    Column("outcome", String(16), nullable=False),  # finished, failed, memory, cancelled
    Column("at", UtcDateTime, nullable=False),
    Column("wall_ms", BigInteger, nullable=False),
    Column("cpu_ms", BigInteger),  # None in these three: nobody measured it
    Column("peak_memory", BigInteger),
    Column("spill_bytes", BigInteger),
    Column("cpu_millis", BigInteger, nullable=False),  # what it was given
    Column("memory_bytes", BigInteger, nullable=False),
    Index("history_by_fingerprint", "project_id", "fingerprint", "at"),
    Index("history_by_queue", "project_id", "queue", "at"),
)

#: Sizes that somebody set for a program, which count before what its runs used.
history_sizes = Table(
    "history_sizes",
    METADATA,
    Column("project_id", String(64), primary_key=True),
    Column("fingerprint", String(64), primary_key=True),
    Column("cores", Integer, nullable=False),
    Column("memory_bytes", BigInteger, nullable=False),
    Column("user_id", String(64), nullable=False),
    Column("set_at", UtcDateTime, nullable=False),
)
