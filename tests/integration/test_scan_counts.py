"""The scans that a price counts against those in the plan of an engine: all of TPC-DS on Sail."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from sql.analysis.bind import bind
from sql.analysis.view import CatalogView
from sql.cost.estimate import estimate
from sql.scan.scanset import scans
from sql.syntax.parse import parse
from tests.support.footers import relation_over
from tests.support.sail import Sail, sail_server
from tests.support.tpc import TpcQuery, columns, connect, queries

#: The files that DuckDB writes have Bloom filters, which Sail reads for keys of joins. In files as
#: small as these they weigh most.
BLOOM_FILTERS = 1.04


@pytest.fixture(scope="module")
def view(tmp_path_factory: pytest.TempPathFactory) -> CatalogView:
    folder = tmp_path_factory.mktemp("tpcds")
    with connect("tpcds") as duck:
        duck.execute("CALL dsdgen(sf=0.01)")
        for table in columns("tpcds"):
            duck.execute(f"COPY {table} TO '{folder / table}.parquet' (FORMAT parquet)")
    relations = [
        relation_over(f"tpcds.{table}", [(folder / f"{table}.parquet", ())])
        for table in columns("tpcds")
    ]
    return CatalogView(
        relations={relation.name: relation for relation in relations}, databases=("tpcds",)
    )


@pytest.fixture(scope="module")
def sail(view: CatalogView) -> Iterator[Sail]:
    with sail_server() as server:
        for relation in view.relations.values():
            assert relation.snapshot is not None
            schema = ", ".join(f"{column.name} {column.type}" for column in relation.columns)
            server.bind(relation.name.name, [file.uri for file in relation.snapshot.files], schema)
        yield server


@pytest.mark.parametrize("query", queries("tpcds"), ids=lambda query: query.name)
def test_scans_and_bytes_are_those_of_the_engines_plan(
    query: TpcQuery, view: CatalogView, sail: Sail
) -> None:
    bound = bind(parse(query.sql), view=view, database="tpcds")
    found = scans(bound)
    plan = sail.run(f"EXPLAIN {query.sql}")
    text = "\n".join(str(value) for column in plan.columns for value in column.to_pylist())
    assert len(found) == len(re.findall(r"DataSourceExec: file_groups", text))
    read = sum(least for least, _ in sail.scanned(query.sql))
    assert read <= estimate(bound, found).cost.bytes_processed * BLOOM_FILTERS
