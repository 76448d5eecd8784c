"""Looking names up in the catalog, all at one moment."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import timedelta

from sql.analysis.view import Relation
from sql.statement import TableName
from storage.base.ids import ProjectId
from storage.catalog.catalog import Catalog
from storage.catalog.definitions import TableKind
from storage.meta.database import Database, Tx
from storage.tables.tables import Tables


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What the catalog says about some names."""

    databases: tuple[str, ...]
    relations: Mapping[TableName, Relation]
    absent: frozenset[TableName]
    similar: Mapping[TableName, tuple[str, ...]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Relations:
    """The catalog and the files behind it."""

    database: Database
    catalog: Catalog
    tables: Tables
    refresh_after: timedelta

    def find(self, project_id: ProjectId, names: Collection[TableName]) -> Found:
        """All of ``names`` as of one transaction; external tables are listed again when due."""
        found = self._read(project_id, names)
        changed = False
        for relation in found.relations.values():
            if relation.definition.kind is TableKind.EXTERNAL:
                fresh = self.tables.refresh(relation.definition, max_age=self.refresh_after)
                changed = changed or fresh != relation.definition
        return self._read(project_id, names) if changed else found

    def _read(self, project_id: ProjectId, names: Collection[TableName]) -> Found:
        relations: dict[TableName, Relation] = {}
        similar: dict[TableName, tuple[str, ...]] = {}
        with self.database.read() as tx:
            databases = tuple(each.name for each in self.catalog.databases(tx, project_id))
            for name in names:
                relation = self._relation(tx, project_id, name)
                if relation is None:
                    similar[name] = self._similar(tx, project_id, name, databases)
                else:
                    relations[name] = relation
        return Found(
            databases=databases,
            relations=relations,
            absent=frozenset(similar),
            similar=similar,
        )

    def _relation(self, tx: Tx, project_id: ProjectId, name: TableName) -> Relation | None:
        definition = self.catalog.table(tx, project_id, name.database, name.name)
        if definition is None:
            return None
        if definition.kind is TableKind.VIEW:
            return Relation(definition=definition)
        return Relation(definition=definition, snapshot=self.tables.snapshot(tx, definition))

    def _similar(
        self, tx: Tx, project_id: ProjectId, name: TableName, databases: Collection[str]
    ) -> tuple[str, ...]:
        """Near names in the same database, then the same name in others."""
        if name.database in databases:
            near = self.catalog.similar(tx, project_id, name.database, name.name)
            if near:
                return tuple(f"{name.database}.{each}" for each in near)
        elsewhere = (
            f"{each}.{name.name}"
            for each in databases
            if each != name.database and self.catalog.table(tx, project_id, each, name.name)
        )
        return tuple(elsewhere)[:3]
