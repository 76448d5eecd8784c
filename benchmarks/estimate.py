"""How long a price takes: ``sql.prepare`` alone, for TPC-H and for a table of 10,000 row groups.

In this process and with snapshots in memory, as the children that prepare statements hold them; the
way to such a child and back is part of the overhead benchmark.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial

import numpy as np

from benchmarks.measuring import Context, Row, milliseconds, paired, percentile
from benchmarks.queries import duckdb_queries, open_duckdb, spark_query
from sql.analysis.view import CatalogView, Relation
from sql.guard.limits import GuardLimits
from sql.prepare import prepare
from sql.statement import TableName
from sql.syntax.parse import parse
from storage.base.ids import ProjectId, SnapshotId, TableId
from storage.catalog.definitions import Column, TableDef, TableFormat, TableKind
from storage.tables.snapshots import ColumnStats, RowGroups, TableFile, TableSnapshot

GROUPS = 10_000
_FILES = 500
_DAYS = 2_526  # of l_shipdate
_WIDE = (
    "SELECT l_returnflag, sum(l_extendedprice * (1 - l_discount)) AS revenue FROM lineitem"
    " WHERE l_shipdate >= DATE '1994-01-01' AND l_shipdate < DATE '1994-04-01'"
    " AND l_discount BETWEEN 0.05 AND 0.07 AND l_shipmode IN ('MAIL', 'SHIP')"
    " GROUP BY l_returnflag"
)


def run(context: Context) -> Iterator[Row]:
    """Medians over the statements of TPC-H, and of one statement over many row groups."""
    times = 5 if context.quick else 20
    with open_duckdb() as duck:
        duck.execute("CALL dbgen(sf=0)")
        columns = _columns(duck.execute("SELECT table_name, column_name, data_type FROM"
            " duckdb_columns() WHERE NOT internal ORDER BY column_index").fetchall())  # fmt: skip
        texts = [spark_query(text) for text in duckdb_queries(duck).values()]
    view = _view(columns, groups=10)
    whole = [_median(text, view, times) for text in texts]
    parsing = [_median_of(partial(parse, text), times) for text in texts]
    median = statistics.median(whole)
    yield Row(
        name="estimate, TPC-H p50",
        value=median,
        unit="ms",
        baseline=statistics.median(parsing),
        beside="parsing alone",
        aim="≤ 15 ms",
        met=median <= 15,
    )
    yield Row(
        name="estimate, TPC-H p90",
        value=percentile(whole, 0.9),
        unit="ms",
        baseline=percentile(parsing, 0.9),
        beside="parsing alone",
    )
    many = _view(columns, groups=GROUPS)
    measured, beside = paired(
        lambda: _prepare(_WIDE, many), lambda: _prepare(_WIDE, view), times=times
    )
    yield Row(
        name=f"estimate, {GROUPS:,} row groups",
        value=measured,
        unit="ms",
        baseline=beside,
        beside="10 row groups",
        aim="≤ 15 ms",
        met=measured <= 15,
    )


def _median(text: str, view: CatalogView, times: int) -> float:
    return _median_of(partial(_prepare, text, view), times)


def _median_of(action: Callable[[], object], times: int) -> float:
    action()
    return statistics.median(milliseconds(action) for _ in range(times))


def _prepare(text: str, view: CatalogView) -> None:
    prepare(text, view=view, database="tpch", limits=GuardLimits())


def _columns(rows: list[tuple[str, str, str]]) -> Mapping[str, list[Column]]:
    names = {"VARCHAR": "string", "INTEGER": "int"}
    found: dict[str, list[Column]] = {}
    for table, name, kind in rows:
        found.setdefault(table, []).append(Column(name=name, type=names.get(kind, kind.lower())))
    return found


def _view(columns: Mapping[str, list[Column]], *, groups: int) -> CatalogView:
    relations = {}
    for table, found in columns.items():
        relation = _relation(table, tuple(found), groups=groups)
        relations[relation.name] = relation
    assert TableName(database="tpch", name="lineitem") in relations
    return CatalogView(relations=relations, databases=("tpch",))


def _relation(table: str, columns: tuple[Column, ...], *, groups: int) -> Relation:
    """A table sorted by its dates: files of as many row groups, with bounds for every column."""
    table_id, snapshot_id = TableId(f"tbl_{table}"), SnapshotId(f"snp_{table}_{groups}")
    definition = TableDef(
        id=table_id,
        project_id=ProjectId("default"),
        database="tpch",
        name=table,
        kind=TableKind.EXTERNAL,
        columns=columns,
        format=TableFormat.PARQUET,
        location=f"file:///data/{table}",
        version=1,
        snapshot_id=snapshot_id,
        created_at=datetime(2026, 1, 1, tzinfo=UTC),
    )
    count = min(_FILES, groups)
    file = TableFile(uri="", size=64_000_000, rows=2_000_000, etag="0")
    snapshot = TableSnapshot(
        table_id=table_id,
        snapshot_id=snapshot_id,
        files=tuple(replace(file, uri=f"file:///data/{table}/{n}.parquet") for n in range(count)),
        groups=RowGroups(
            file=np.sort(np.arange(groups, dtype=np.int32) % count),
            rows=np.full(groups, 100_000, dtype=np.int64),
            columns={column.name: _stats(column.type, groups) for column in columns},
        ),
    )
    return Relation(definition=definition, snapshot=snapshot)


def _stats(kind: str, groups: int) -> ColumnStats:
    if kind == "date":
        lower = 8_036 + np.arange(groups, dtype=np.int64) * _DAYS // groups
        upper = lower + 1
    elif kind.startswith("decimal"):
        lower, upper = np.full(groups, 1, dtype=object), np.full(groups, 1_000, dtype=object)
    elif kind == "string":
        lower, upper = np.full(groups, "A", dtype=object), np.full(groups, "Z", dtype=object)
    else:
        lower = np.zeros(groups, dtype=np.int64)
        upper = np.full(groups, 10**9, dtype=np.int64)
    return ColumnStats(
        compressed=np.full(groups, 400_000, dtype=np.int64),
        nulls=np.zeros(groups, dtype=np.int64),
        bounded=np.ones(groups, dtype=np.bool_),
        lower=lower,
        upper=upper,
    )
