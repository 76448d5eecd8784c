"""The quote against the truth: bytes that Sail says it read, and rows of a read of fewer files."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from benchmarks.tpch import TABLES, generate
from sql.analysis.bind import bind
from sql.analysis.view import CatalogView, Relation
from sql.cost.estimate import Estimate, estimate
from sql.scan.scanset import scans
from sql.statement import TableName
from sql.syntax.parse import parse
from tests.support.footers import relation_over
from tests.support.sail import Sail, sail_server
from tests.support.tpc import TpcQuery, queries

Layout = Mapping[TableName, Relation]

#: Statements of which Sail reads less than the quote, since a join's keys prune pages as it runs.
PRUNED_AT_RUN_TIME: Mapping[str, set[int]] = {"flat": {18}, "by_quarter": set()}


@pytest.fixture(scope="module")
def sail() -> Iterator[Sail]:
    with sail_server() as server:
        yield server


@pytest.fixture(scope="module", params=["flat", "by_quarter"])
def layout(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def tables(layout: str, tmp_path_factory: pytest.TempPathFactory) -> Layout:
    flat = generate("0.1")
    files = {table: [flat / f"{table}.parquet"] for table in TABLES}
    if layout == "by_quarter":
        folder = tmp_path_factory.mktemp("by_quarter")
        for table, column in (("lineitem", "l_shipdate"), ("orders", "o_orderdate")):
            files[table] = split(flat / f"{table}.parquet", column, folder)
    found = [
        relation_over(f"tpch.{table}", [(path, ()) for path in files[table]]) for table in TABLES
    ]
    return {relation.name: relation for relation in found}


def split(path: Path, column: str, folder: Path) -> list[Path]:
    """The rows of ``path`` in files of a quarter of a year each, in row groups of 4,000 rows."""
    rows = pq.read_table(path)
    plain = [
        field.with_type(pa.string()) if pa.types.is_string_view(field.type) else field
        for field in rows.schema
    ]
    rows = rows.cast(pa.schema(plain)).sort_by(column)
    quarter = pc.add(pc.multiply(pc.year(rows[column]), 4), pc.quarter(rows[column]))
    found = []
    for value in pc.unique(quarter).to_pylist():
        found.append(folder / f"{path.stem}-{value}.parquet")
        part = rows.filter(pc.equal(quarter, value))
        pq.write_table(part, found[-1], row_group_size=4_000)
    return found


def quote(query: TpcQuery, tables: Layout) -> Estimate:
    view = CatalogView(relations=tables, databases=("tpch",))
    bound = bind(parse(query.sql), view=view, database="tpch")
    return estimate(bound, scans(bound))


def bind_all(sail: Sail, tables: Layout, files: Mapping[TableName, list[str]]) -> None:
    for name, relation in tables.items():
        schema = ", ".join(f"{column.name} {column.type}" for column in relation.columns)
        sail.bind(name.name, files[name], schema)


def all_files(tables: Layout) -> dict[TableName, list[str]]:
    return {
        name: [file.uri for file in relation.snapshot.files]
        for name, relation in tables.items()
        if relation.snapshot is not None
    }


@pytest.mark.parametrize("query", queries("tpch"), ids=lambda query: query.name)
def test_quoted_bytes_are_those_that_sail_reads(
    query: TpcQuery, layout: str, tables: Layout, sail: Sail
) -> None:
    bind_all(sail, tables, all_files(tables))
    quoted = quote(query, tables).cost.bytes_processed
    read = sail.scanned(query.sql)
    least, most = sum(low for low, _ in read), sum(high for _, high in read)
    if query.number in PRUNED_AT_RUN_TIME[layout]:
        assert most < quoted
    else:
        assert least <= quoted <= most


@pytest.mark.parametrize("query", queries("tpch"), ids=lambda query: query.name)
def test_the_kept_files_give_the_same_rows(
    query: TpcQuery, layout: str, tables: Layout, sail: Sail
) -> None:
    kept = {
        name: [file.uri for file in files] for name, files in quote(query, tables).files.items()
    }
    everything = all_files(tables)
    bind_all(sail, tables, everything)
    whole = sail.run(query.sql)
    used = {name: kept[name] for name in kept if kept[name]}
    bind_all(sail, {name: tables[name] for name in used}, used)
    assert sorted_rows(sail.run(query.sql)) == sorted_rows(whole)


def sorted_rows(table: pa.Table) -> list[tuple[object, ...]]:
    rows = [tuple(row.values()) for row in table.to_pylist()]
    return sorted(rows, key=repr)
