"""What may be done to a catalog: one frozen value a command, applied by ``Catalog.apply``."""

from __future__ import annotations

from dataclasses import dataclass

from storage.catalog.definitions import Column, TableFormat


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateDatabase:
    name: str
    if_not_exists: bool = False
    comment: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DropDatabase:
    """Refused while tables are in it, unless ``cascade``."""

    name: str
    if_exists: bool = False
    cascade: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateTable:
    """With a ``location`` the table is external, else managed and empty.

    No columns means: take them from the files (only with a location).
    """

    database: str
    name: str
    columns: tuple[Column, ...] = ()
    format: TableFormat = TableFormat.PARQUET
    location: str | None = None
    options: tuple[tuple[str, str], ...] = ()
    partitioned_by: tuple[str, ...] = ()
    if_not_exists: bool = False
    or_replace: bool = False
    comment: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateView:
    database: str
    name: str
    columns: tuple[Column, ...]
    sql: str
    if_not_exists: bool = False
    or_replace: bool = False
    comment: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DropTable:
    """Drops a table or, with ``view``, a view; the other kind raises. External files stay."""

    database: str
    name: str
    if_exists: bool = False
    view: bool = False


Command = CreateDatabase | DropDatabase | CreateTable | CreateView | DropTable
