"""The 22 queries of TPC-H, as DuckDB ships them and in Spark's dialect."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

import duckdb
import sqlglot


def open_duckdb() -> duckdb.DuckDBPyConnection:
    """A DuckDB in memory with its TPC-H extension loaded from the installed package."""
    package = Path(str(files("duckdb_extension_tpch")))
    extension = next(package.glob("extensions/*/tpch.duckdb_extension"))
    connection = duckdb.connect(config={"allow_unsigned_extensions": "true"})
    connection.execute(f"LOAD '{extension}'")
    return connection


def duckdb_queries(connection: duckdb.DuckDBPyConnection) -> dict[int, str]:
    """Number → text for DuckDB."""
    rows = connection.execute("SELECT query_nr, query FROM tpch_queries()").fetchall()
    return {int(number): str(text) for number, text in rows}


def spark_query(text: str) -> str:
    """The same query for the service."""
    return sqlglot.transpile(text, read="duckdb", write="spark", pretty=True)[0]
