"""The tables that a batch asked for, inside its own process: each a view of its own name.

    from dli_batch import session

    spark = session()
    spark.table("orders").groupBy("status").count().show()

What a program tells of itself, later nodes of its pipeline can refer to::

    tell(value=frame.count(), uris={"report": "s3://lake/report/day=2026-01-31"})

This file lies beside a batch's program and needs nothing but PySpark. ``DLI_TABLES`` names a file
that says, for each table, which files it consisted of when the run started.
"""

from __future__ import annotations

import json
import os
from datetime import UTC, date, datetime
from functools import reduce
from pathlib import Path
from typing import Any

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F  # noqa: N812  as everybody calls it

#: In this order, since a truth is an integer for Python.
_TYPES = {"boolean": bool, "bigint": int, "double": float, "string": str}


def session() -> SparkSession:
    """The session of this program, with a view for each table that the batch asked for."""
    spark = SparkSession.builder.getOrCreate()
    for table in _described():
        _frame(spark, table).createOrReplaceTempView(_quoted(table["view"]))
    return spark


def tell(*, value: Any = None, rows: int | None = None, uris: dict[str, str] | None = None) -> None:
    """Say what this batch came to; the last call counts, and only if the program ends well.

    ``value`` is a text, a number, a truth, a date or a moment: ``result.value`` of the node.
    ``rows`` is ``result.rows``, and ``uris`` are addresses by name: ``output.uri`` with ``file``.
    """
    told: dict[str, Any] = {"rows": rows, "uris": uris}
    told["value"] = None if value is None else _typed(value)
    path = Path(__file__).with_name("told.json")
    draft = path.with_suffix(".draft")
    draft.write_text(json.dumps(told, allow_nan=False), encoding="utf-8")
    draft.replace(path)


def _typed(value: Any) -> dict[str, Any]:
    if isinstance(value, datetime):
        moment = value if value.tzinfo else value.replace(tzinfo=UTC)
        return {"type": "timestamp", "value": moment.isoformat()}
    if isinstance(value, date):
        return {"type": "date", "value": value.isoformat()}
    for name, kind in _TYPES.items():
        if isinstance(value, kind):
            return {"type": name, "value": value}
    raise TypeError(f"a value is a text, a number, a truth, a date or a moment, not {value!r}")


def _described() -> list[dict[str, Any]]:
    path = os.environ.get("DLI_TABLES")
    if not path:
        return []
    with open(path, encoding="utf-8") as file:
        tables: list[dict[str, Any]] = json.load(file)
    return tables


def _frame(spark: SparkSession, table: dict[str, Any]) -> DataFrame:
    columns = table["columns"]
    partitions = table["partitioned_by"]
    names = [column["name"] for column in columns]
    if not table["files"]:
        return spark.createDataFrame([], _ddl(columns))
    if not partitions or table["base"]:
        paths = [file["path"] for file in table["files"]]
        return _read(spark, table, columns, paths).select(*map(_quoted, names))
    stored = [column for column in columns if column["name"] not in partitions]
    groups: dict[tuple[str | None, ...], list[str]] = {}
    for file in table["files"]:
        groups.setdefault(tuple(file["partition"]), []).append(file["path"])
    frames = []
    for values, paths in groups.items():
        frame = _read(spark, table, stored, paths)
        for name, value in zip(partitions, values, strict=True):
            [kind] = [column["type"] for column in columns if column["name"] == name]
            frame = frame.withColumn(name, F.lit(value).cast(kind))
        frames.append(frame.select(*map(_quoted, names)))
    return reduce(DataFrame.unionAll, frames)


def _read(
    spark: SparkSession, table: dict[str, Any], columns: list[dict[str, str]], paths: list[str]
) -> DataFrame:
    reader = spark.read.format(table["format"]).schema(_ddl(columns)).options(**table["options"])
    if table["base"]:
        reader = reader.option("basePath", table["base"])
    return reader.load(paths)


def _ddl(columns: list[dict[str, str]]) -> str:
    return ", ".join(f"{_quoted(column['name'])} {column['type']}" for column in columns)


def _quoted(name: str) -> str:
    return "`" + name.replace("`", "``") + "`"
