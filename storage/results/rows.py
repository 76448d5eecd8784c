"""The table of results: one row a published result, kept after its objects are gone."""

from __future__ import annotations

from sqlalchemy import BigInteger, Boolean, Column, Index, Integer, LargeBinary, String, Table

from storage.meta.schema import METADATA
from storage.meta.types import Json, UtcDateTime

results = Table(
    "results",
    METADATA,
    Column("job_id", String(64), primary_key=True),
    # These two are for who looks at the table: no code reads them.
    Column("project_id", String(64), nullable=False),
    Column("attempt", Integer, nullable=False),  # of the job
    Column("schema", LargeBinary, nullable=False),  # as an Arrow IPC message
    Column("rows", BigInteger, nullable=False),
    Column("bytes", BigInteger, nullable=False),
    Column("truncated", Boolean, nullable=False),
    Column("truncated_by", String(16)),
    Column("chunks", Json, nullable=False),  # [[rows, bytes, sha256, key or null], …]
    Column("data", LargeBinary),  # of the only chunk, if it is no object
    Column("preview", Json, nullable=False),
    Column("expires_at", UtcDateTime, nullable=False),
    Column("removed_at", UtcDateTime),  # expired or deleted; data and preview are empty then
    Column("removed_by", String(16)),  # "expiry" or "request"
    Column("swept_at", UtcDateTime),  # the objects are gone
    Index(None, "expires_at"),
    Index(None, "swept_at", "removed_at"),
)
