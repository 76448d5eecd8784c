"""Tables of use. Rows are only ever added."""

from __future__ import annotations

from sqlalchemy import BigInteger, CheckConstraint, Column, Index, Integer, String, Table

from storage.meta.schema import METADATA
from storage.meta.types import UtcDateTime

#: The key is what makes a record count once, however often it is reported.
usage = Table(
    "usage",
    METADATA,
    Column("job_id", String(40), primary_key=True),
    Column("attempt", Integer, primary_key=True),
    Column("meter", String(32), primary_key=True),
    Column("project_id", String(64), nullable=False),
    Column("quantity", BigInteger, nullable=False),  # bytes, or milliseconds of a compute unit
    Column("at", UtcDateTime, nullable=False),
    CheckConstraint("quantity >= 0", name="quantity"),
    Index("usage_by_project", "project_id", "at"),
)
