"""The catalog's tables in the metadata database."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Index, String, Table, Text

from storage.meta.schema import METADATA
from storage.meta.types import Json, UtcDateTime

DATABASES = Table(
    "catalog_databases",
    METADATA,
    Column("project_id", String(64), primary_key=True),
    Column("name", String(128), primary_key=True),
    Column("comment", Text),
    Column("created_at", UtcDateTime, nullable=False),
)

#: A dropped table keeps its row, with ``dropped_at``, until its files are swept.
TABLES = Table(
    "catalog_tables",
    METADATA,
    Column("id", String(64), primary_key=True),
    Column("project_id", String(64), nullable=False),
    Column("database_name", String(128), nullable=False),
    Column("name", String(128), nullable=False),
    Column("kind", String(16), nullable=False),
    Column("columns", Json, nullable=False),  # [[name, type, nullable, comment], …]
    Column("format", String(16)),
    Column("location", Text),
    Column("options", Json, nullable=False),
    Column("partitioned_by", Json, nullable=False),
    Column("view_sql", Text),
    Column("view_database", String(128)),
    Column("comment", Text),
    Column("version", BigInteger, nullable=False),
    Column("snapshot_id", String(64)),
    Column("created_at", UtcDateTime, nullable=False),
    Column("dropped_at", UtcDateTime),
)
Index(
    "uq_catalog_tables_live_name",
    TABLES.c.project_id,
    TABLES.c.database_name,
    TABLES.c.name,
    unique=True,
    sqlite_where=TABLES.c.dropped_at.is_(None),
    postgresql_where=TABLES.c.dropped_at.is_(None),
)
Index("ix_catalog_tables_dropped_at", TABLES.c.dropped_at)
