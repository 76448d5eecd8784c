"""Requests and answers about databases and tables."""

from __future__ import annotations

from pydantic import Field

from dli.api.schemas.fields import Body, Reply
from storage.catalog.definitions import TableFormat


class DatabaseBody(Body):
    name: str = Field(min_length=1, max_length=255)
    comment: str | None = Field(None, max_length=1000)
    if_not_exists: bool = False


class DatabaseReply(Reply):
    name: str
    comment: str | None
    created_at: str


class DatabasesPage(Reply):
    items: list[DatabaseReply]
    next_cursor: str | None


class ColumnBody(Body):
    name: str = Field(min_length=1)
    type: str = Field(min_length=1, description="Spark's DDL type, such as `decimal(10,2)`.")
    nullable: bool = True
    comment: str | None = None


class TableBody(Body):
    """A table to register: files that lie somewhere, or an empty managed table with columns."""

    name: str = Field(min_length=1, max_length=255)
    location: str | None = Field(
        None, description="Folder, glob or file: an allowed path or `s3://bucket/…`."
    )
    format: TableFormat = TableFormat.PARQUET
    options: dict[str, str] = Field(
        default_factory=dict, description="Of the reader: `header`, `sep`, …"
    )
    columns: list[ColumnBody] = Field(
        default_factory=list, description="Left out: taken from the files."
    )
    partitioned_by: list[str] = Field(default_factory=list)
    comment: str | None = Field(None, max_length=1000)
    if_not_exists: bool = False
    or_replace: bool = False


class TableColumnReply(Reply):
    name: str
    type: str
    nullable: bool
    comment: str | None


class TableReply(Reply):
    """A table or view."""

    id: str
    database: str
    name: str
    kind: str
    format: str | None
    location: str | None
    options: dict[str, str]
    columns: list[TableColumnReply]
    partitioned_by: list[str]
    view_sql: str | None
    comment: str | None
    version: int
    snapshot: str | None
    created_at: str


class FileReply(Reply):
    uri: str
    size: int
    rows: int | None
    partition: list[str | None]


class SnapshotReply(Reply):
    """One list of files; the newest is the current one."""

    id: str
    number: int
    operation: str
    statement: str | None = Field(description="Which wrote it.")
    created_at: str
    files: int
    rows: int | None
    bytes: int


class ColumnStatisticsReply(Reply):
    """Bounds over all files; null where a file tells none."""

    name: str
    min: str | None
    max: str | None
    nulls: int | None
    bytes: int | None


class StatisticsReply(Reply):
    """Of the current snapshot; null where a format does not tell."""

    files: int
    bytes: int
    rows: int | None
    row_groups: int | None
    partitions: int | None
    columns: list[ColumnStatisticsReply]


class TableDetailReply(TableReply):
    files: list[FileReply] = Field(description="The first thousand.")
    snapshots: list[SnapshotReply]
    statistics: StatisticsReply | None


class TablesPage(Reply):
    items: list[TableReply]
    next_cursor: str | None
