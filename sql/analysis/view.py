"""The catalog as one statement sees it: a value made before, so that nothing here does I/O.

A view holds only what the statement needs. ``sql.prepare.missing`` says which names are still to be
looked up; a name that was looked up and is not there is in ``absent``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

from sql.statement import TableName
from storage.catalog.definitions import Column, TableDef, TableKind
from storage.tables.snapshots import TableSnapshot


@dataclass(frozen=True, slots=True, kw_only=True)
class Relation:
    """A table or a view at one version. ``snapshot`` is None for a view, set for a table."""

    definition: TableDef
    snapshot: TableSnapshot | None = None

    @property
    def name(self) -> TableName:
        """The qualified name, in lower case."""
        return TableName(database=self.definition.database, name=self.definition.name)

    @property
    def columns(self) -> tuple[Column, ...]:
        """All columns, those of the partitions last."""
        return self.definition.columns

    @property
    def is_view(self) -> bool:
        """Whether it is a text to expand rather than files."""
        return self.definition.kind is TableKind.VIEW


@dataclass(frozen=True, kw_only=True)
class CatalogView:
    """What is known of the catalog at one moment. All names are in lower case.

    ``databases`` are all databases of the project. ``similar`` has near matches for names in
    ``absent``, for the error message.
    """

    relations: Mapping[TableName, Relation] = field(default_factory=dict)
    databases: tuple[str, ...] = ()
    similar: Mapping[TableName, tuple[str, ...]] = field(default_factory=dict)
    absent: frozenset[TableName] = frozenset()

    @cached_property
    def known(self) -> frozenset[TableName]:
        """Names that were looked up, found or not."""
        return frozenset(self.relations) | self.absent
