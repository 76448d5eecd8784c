"""The 22 queries of TPC-H through the service, beside the same engine alone, and DuckDB."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

import duckdb

from benchmarks.engines import ROOMY, bind_table, execute, open_raw_session
from benchmarks.measuring import Context, Row, milliseconds
from benchmarks.queries import duckdb_queries, open_duckdb, spark_query
from benchmarks.service import register_tpch, running_service
from benchmarks.tpch import TABLES, generate


def run(context: Context) -> Iterator[Row]:
    """Sums over the queries of the faster of two runs, in turns with the baseline."""
    data = generate(context.scale)
    duck = open_duckdb()
    for table in TABLES:
        duck.execute(f"CREATE VIEW {table} AS FROM '{data / table}.parquet'")
    texts = duckdb_queries(duck)
    duck_ms = sum(_fastest(partial(_fetch, duck, text)) for text in texts.values())
    with (
        running_service(context.home("tpch"), allow=[data], environment=ROOMY) as service,
        service.client() as client,
    ):
        register_tpch(client, data, TABLES)
        for engine in ("sail", "spark"):
            session = open_raw_session(service, client, engine)
            for table in TABLES:
                bind_table(session, client, f"tpch.{table}")
            through = alone = 0.0
            for text in map(spark_query, texts.values()):
                # In turns, so that both meet the same machine.
                first = milliseconds(partial(execute, session, text))
                run_it = partial(client.run, text, engine=engine, database="tpch")
                through += _fastest(run_it)
                alone += min(first, milliseconds(partial(execute, session, text)))
            session.release()
            ratio = through / alone
            yield Row(
                name=f"TPC-H SF {context.scale}, 22 queries over REST, {engine}",
                value=through / 1000,
                unit="s",
                baseline=alone / 1000,
                beside=f"engine alone: ratio {ratio:.2f}",
                aim="≤ 1.15",
                met=ratio <= 1.15,
            )
    yield Row(name=f"TPC-H SF {context.scale}, 22 queries, DuckDB", value=duck_ms / 1000, unit="s")


def _fastest(action: Callable[[], object]) -> float:
    return min(milliseconds(action) for _ in range(2))


def _fetch(connection: duckdb.DuckDBPyConnection, text: str) -> object:
    return connection.sql(text).fetchall()
