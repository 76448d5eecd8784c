"""TPC-H and TPC-DS: the statements in Spark's dialect, and the tables that they are about.

The texts and the schemas come out of DuckDB's extensions at run time; none of them is kept here.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from importlib import import_module
from pathlib import Path

import duckdb
import sqlglot

from sql.analysis.view import CatalogView, Relation
from sql.statement import TableName
from storage.base.ids import ProjectId, SnapshotId, TableId
from storage.catalog.definitions import Column, TableDef, TableFormat, TableKind
from storage.tables.snapshots import TableSnapshot

SUITES = ("tpch", "tpcds")
_GENERATORS = {"tpch": "dbgen", "tpcds": "dsdgen"}
_TYPES = {
    "VARCHAR": "string",
    "INTEGER": "int",
    "BIGINT": "bigint",
    "DATE": "date",
    "TIME": "string",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class TpcQuery:
    """One statement of a suite, in Spark's dialect, without a semicolon."""

    suite: str
    number: int
    sql: str
    duckdb_sql: str

    @property
    def name(self) -> str:
        return f"{self.suite}-q{self.number:02}"


def connect(suite: str) -> duckdb.DuckDBPyConnection:
    """A DuckDB with the extension of ``suite`` loaded from its package; no download."""
    connection = duckdb.connect(config={"allow_unsigned_extensions": "true"})
    package = import_module(f"duckdb_extension_{suite}")
    folder = Path(str(package.__file__)).parent
    file = next(folder.rglob(f"{suite}.duckdb_extension"))
    connection.execute(f"LOAD '{file}'")
    return connection


@cache
def queries(suite: str) -> tuple[TpcQuery, ...]:
    """All statements of ``suite`` in order."""
    with connect(suite) as connection:
        rows = connection.execute(f"SELECT query_nr, query FROM {suite}_queries()").fetchall()
    return tuple(
        TpcQuery(
            suite=suite,
            number=number,
            sql=sqlglot.transpile(text, read="duckdb", write="spark")[0],
            duckdb_sql=text,
        )
        for number, text in rows
    )


@cache
def columns(suite: str) -> dict[str, tuple[Column, ...]]:
    """The columns of each table of ``suite``, with Spark types."""
    with connect(suite) as connection:
        connection.execute(f"CALL {_GENERATORS[suite]}(sf=0)")
        rows = connection.execute(
            "SELECT table_name, column_name, data_type FROM duckdb_columns() WHERE NOT internal"
            " ORDER BY table_name, column_index"
        ).fetchall()
    tables: dict[str, list[Column]] = {}
    for table, name, type_ in rows:
        tables.setdefault(table, []).append(Column(name=name, type=_spark_type(type_)))
    return {table: tuple(found) for table, found in tables.items()}


def catalog_view(*suites: str) -> CatalogView:
    """A catalog with a database for each suite; its tables have no files."""
    relations = {relation.name: relation for suite in suites for relation in _relations(suite)}
    return CatalogView(relations=relations, databases=("default", *suites))


def _relations(suite: str) -> Iterator[Relation]:
    for table, found in columns(suite).items():
        yield empty_table(TableName(database=suite, name=table), found)


def empty_table(
    name: TableName,
    columns: tuple[Column, ...],
    *,
    kind: TableKind = TableKind.EXTERNAL,
    partitioned_by: tuple[str, ...] = (),
) -> Relation:
    """A table without files."""
    table_id, snapshot_id = TableId(f"tbl_{name}"), SnapshotId(f"snp_{name}")
    return Relation(
        definition=TableDef(
            id=table_id,
            project_id=ProjectId("default"),
            database=name.database,
            name=name.name,
            kind=kind,
            columns=columns,
            format=TableFormat.PARQUET,
            location=f"file:///data/{name.database}/{name.name}",
            partitioned_by=partitioned_by,
            version=1,
            snapshot_id=snapshot_id,
            created_at=datetime(2026, 1, 1, tzinfo=UTC),
        ),
        snapshot=TableSnapshot(table_id=table_id, snapshot_id=snapshot_id, files=(), groups=None),
    )


def view_of(
    name: TableName, sql: str, columns: tuple[Column, ...], *, database: str = "default"
) -> Relation:
    """A view over ``sql``, whose unqualified names are looked up in ``database``."""
    return Relation(
        definition=TableDef(
            id=TableId(f"tbl_{name}"),
            project_id=ProjectId("default"),
            database=name.database,
            name=name.name,
            kind=TableKind.VIEW,
            columns=columns,
            view_sql=sql,
            view_database=database,
            version=1,
            created_at=datetime(2026, 1, 1, tzinfo=UTC),
        )
    )


def _spark_type(type_: str) -> str:
    return _TYPES.get(type_, type_.lower())
