"""What a table is, as frozen values that may cross threads and processes."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from storage.base.ids import ProjectId, SnapshotId, TableId


class TableKind(StrEnum):
    """Who owns the files: we (managed), somebody else (external), or nobody (a view)."""

    MANAGED = "managed"
    EXTERNAL = "external"
    VIEW = "view"


class TableFormat(StrEnum):
    """How rows lie in files; JSON means one object a line."""

    PARQUET = "parquet"
    CSV = "csv"
    JSON = "json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """A column by its Spark DDL type in lower case, such as ``decimal(15,2)`` or ``array<int>``."""

    name: str
    type: str
    nullable: bool = True
    comment: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DatabaseDef:
    """A namespace of tables within a project."""

    project_id: ProjectId
    name: str
    comment: str | None = None
    created_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class TableDef:
    """One table or view at one version. Names are in lower case.

    ``columns`` include the partition columns, last and in the order of ``partitioned_by``.
    ``location`` is what was registered (folder, glob or file) for an external table, the table's
    folder for a managed one, None for a view. ``version`` grows with each change of the definition
    or the files; ``snapshot_id`` is the current list of files (None for a view).
    """

    id: TableId
    project_id: ProjectId
    database: str
    name: str
    kind: TableKind
    columns: tuple[Column, ...]
    format: TableFormat | None = None
    location: str | None = None
    options: tuple[tuple[str, str], ...] = ()  #: reader options, sorted: header, sep, …
    partitioned_by: tuple[str, ...] = ()
    view_sql: str | None = None
    view_database: str | None = None  #: where unqualified names of ``view_sql`` are looked up
    comment: str | None = None
    version: int
    snapshot_id: SnapshotId | None = None
    created_at: datetime

    @property
    def full_name(self) -> str:
        """``database.name``."""
        return f"{self.database}.{self.name}"
