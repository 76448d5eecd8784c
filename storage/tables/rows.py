"""Tables of the metadata database that hold lists of files, and folders that are being written.

A snapshot of number ``n`` of a table is made of its manifests with ``added <= n < removed``, so an
append writes one small manifest, whatever the table's size.
"""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Index, Integer, LargeBinary, String, Table, Text

from storage.meta.schema import METADATA
from storage.meta.types import UtcDateTime

SNAPSHOTS = Table(
    "table_snapshots",
    METADATA,
    Column("id", String(64), primary_key=True),
    Column("table_id", String(64), nullable=False),
    Column("number", BigInteger, nullable=False),  # 1, 2, 3, … of the table
    Column("operation", String(16), nullable=False),
    Column("job_id", String(64)),
    Column("created_at", UtcDateTime, nullable=False),
    Column("superseded_at", UtcDateTime),
    Column("files", BigInteger, nullable=False),
    Column("rows", BigInteger),
    Column("bytes", BigInteger, nullable=False),
)
Index("uq_table_snapshots_number", SNAPSHOTS.c.table_id, SNAPSHOTS.c.number, unique=True)
Index("ix_table_snapshots_superseded_at", SNAPSHOTS.c.superseded_at)

MANIFESTS = Table(
    "table_manifests",
    METADATA,
    Column("id", String(64), primary_key=True),
    Column("table_id", String(64), nullable=False),
    Column("added", BigInteger, nullable=False),  # snapshot numbers
    Column("removed", BigInteger),
    Column("removed_at", UtcDateTime),
    Column("files", LargeBinary, nullable=False),  # storage.tables.manifests
    Column("groups", LargeBinary),
)
Index("ix_table_manifests_table_id_added", MANIFESTS.c.table_id, MANIFESTS.c.added)
Index("ix_table_manifests_removed_at", MANIFESTS.c.removed_at)

#: Folders that engines write. States: open, committed, abandoned, retired.
STAGES = Table(
    "table_stages",
    METADATA,
    Column("id", String(64), primary_key=True),
    Column("table_id", String(64), nullable=False),
    Column("job_id", String(64), nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("prefix", Text, nullable=False),
    Column("state", String(16), nullable=False),
    Column("changed_at", UtcDateTime, nullable=False),
    Column("expires_at", UtcDateTime, nullable=False),  # of an open one
)
Index("ix_table_stages_job_id", STAGES.c.job_id)
Index("ix_table_stages_table_id", STAGES.c.table_id)
Index("ix_table_stages_state_changed_at", STAGES.c.state, STAGES.c.changed_at)
