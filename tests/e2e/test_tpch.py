"""TPC-H through the API: both engines, DuckDB as the independent reference, quote and bill."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pytest

from benchmarks.queries import duckdb_queries, open_duckdb, spark_query
from benchmarks.tpch import TABLES
from dli.client import Client

pytestmark = pytest.mark.xdist_group("e2e")

QUERIES = range(1, 23)

#: Where Sail divides decimals by Arrow's rules (scale + 4, cut off) and Spark by its own (half
#: up): STORAGE.md § 4.1 no. 3. Query → columns by position, equal to so many decimal places.
DECIMALS_OF_SAIL: dict[int, dict[int, int]] = {
    1: {6: 5, 7: 5, 8: 5},  # avg of decimal(15,2)
    8: {1: 4},  # sum / sum
    14: {0: 4},  # 100.00 * sum / sum
    17: {0: 4},  # sum / 7.0
}
#: DuckDB computes averages and quotients in double.
DOUBLES_OF_DUCKDB: dict[int, dict[int, int]] = {
    1: {6: 5, 7: 5, 8: 5},
    8: {1: 4},
    14: {0: 4},
    17: {0: 4},
}


@pytest.fixture(scope="module")
def reference(tpch: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    connection = open_duckdb()
    for table in TABLES:
        connection.execute(f"CREATE VIEW {table} AS FROM '{tpch / table}.parquet'")
    yield connection
    connection.close()


@pytest.fixture(scope="module")
def texts(reference: duckdb.DuckDBPyConnection) -> dict[int, str]:
    return duckdb_queries(reference)


@pytest.fixture(scope="module")
def answers() -> dict[tuple[int, str], list[tuple[Any, ...]]]:
    """What was computed already, by query and engine: each query runs once on each."""
    return {}


@pytest.mark.parametrize("query", QUERIES)
@pytest.mark.parametrize("engine", ["sail", pytest.param("spark", marks=pytest.mark.spark)])
def test_engine_answers_as_duckdb_does(
    client: Client,
    reference: duckdb.DuckDBPyConnection,
    texts: dict[int, str],
    answers: dict[tuple[int, str], list[tuple[Any, ...]]],
    engine: str,
    query: int,
) -> None:
    text = texts[query]
    statement = client.run(
        spark_query(text), database="tpch", engine=engine, labels={"query": str(query)}
    )
    assert statement.bill == statement.price
    assert statement.price is not None
    assert statement.price.amount > 0
    assert statement.engine is not None
    assert statement.engine.startswith(engine)
    with client.download(statement.id, "arrow") as pieces:
        found = rows_of(pa.ipc.open_stream(b"".join(pieces)).read_all())
    answers[query, engine] = found
    expected = rows_of(reference.sql(text).to_arrow_table())
    places = DOUBLES_OF_DUCKDB.get(query, {}) | DECIMALS_OF_SAIL.get(query, {})
    assert rounded(found, places) == rounded(expected, places)


@pytest.mark.spark
@pytest.mark.parametrize("query", QUERIES)
def test_engines_differ_only_where_it_is_known(
    answers: dict[tuple[int, str], list[tuple[Any, ...]]], query: int
) -> None:
    if not {(query, "sail"), (query, "spark")} <= set(answers):
        pytest.skip("needs the answers of the test before")
    places = DECIMALS_OF_SAIL.get(query, {})
    sail, spark = answers[query, "sail"], answers[query, "spark"]
    assert rounded(sail, places) == rounded(spark, places)


def rows_of(table: pa.Table) -> list[tuple[Any, ...]]:
    """Rows as tuples of values that compare across engines: numbers are decimals, text trimmed."""
    columns = [[_plain(value) for value in column.to_pylist()] for column in table.columns]
    return list(zip(*columns, strict=True))


def rounded(rows: list[tuple[Any, ...]], places: dict[int, int]) -> list[tuple[Any, ...]]:
    """The rows with some columns cut to a number of decimal places, give or take the last one."""
    return [
        tuple(
            _places(value, places[position]) if position in places else value
            for position, value in enumerate(row)
        )
        for row in rows
    ]


def _plain(value: object) -> object:
    if isinstance(value, bool) or value is None:
        return value
    if isinstance(value, int | float | Decimal):
        return Decimal(str(value)).normalize()
    return value.rstrip() if isinstance(value, str) else value


def _places(value: object, places: int) -> object:
    if not isinstance(value, Decimal):
        return value
    return value.quantize(Decimal(1).scaleb(-places), ROUND_HALF_UP)
