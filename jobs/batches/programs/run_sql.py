"""Runs the statements of a SQL script one after the other, each with its rows or its mistake.

``run_sql.py STATEMENTS [NAME=VALUE …]``: the first names a file with the statements, split by the
service; the others are values of ``:name`` in them, as text. Ends at the first mistake. Tells how
many rows the last statement with some had, and the first value of the first of them.
"""

from __future__ import annotations

import json
import math
import sys
import time
from datetime import date
from typing import Any

from dli_batch import session, tell  # type: ignore[import-not-found]  # lies beside this file in a run

_MOST_ROWS = 1000
_LONGEST = 200  #: characters of a statement that are shown


def main(statements: str, *given: str) -> int:
    """The exit code: 0, or 1 after a mistake."""
    values = dict(text.partition("=")[::2] for text in given)
    with open(statements, encoding="utf-8") as file:
        script: list[dict[str, Any]] = json.load(file)
    spark = session()
    for number, statement in enumerate(script, 1):
        print(f"-- {number} of {len(script)}, line {statement['line']}: {_short(statement['sql'])}")
        began = time.monotonic()
        try:
            rows = _run(spark, statement["sql"], values)
        except Exception as error:  # noqa: BLE001  whatever Spark raises is the author's to read
            print(error, file=sys.stderr)
            first = str(error).strip().partition("\n")[0]
            print(f"dli-sql: statement {number} at line {statement['line']}: {first}", flush=True)
            return 1
        print(f"-- {rows} rows, {time.monotonic() - began:.2f} s", flush=True)
    return 0


def _run(spark: Any, sql: str, values: dict[str, str]) -> int:
    frame = spark.sql(sql, args=values) if values else spark.sql(sql)
    if not frame.columns:
        return 0
    rows = frame.limit(_MOST_ROWS + 1).collect()
    _tell(rows)
    print("\t".join(frame.columns))
    for row in rows[:_MOST_ROWS]:
        print("\t".join("NULL" if value is None else str(value) for value in row))
    if len(rows) > _MOST_ROWS:
        print(f"-- only the first {_MOST_ROWS} rows are shown")
    return min(len(rows), _MOST_ROWS)


def _tell(rows: list[Any]) -> None:
    """The last rows of the script are its result; a value of another type is told as text."""
    value = rows[0][0] if rows else None
    if isinstance(value, float) and not math.isfinite(value):
        value = str(value)
    if value is not None and not isinstance(value, str | int | float | bool | date):
        value = str(value)
    tell(rows=len(rows) if len(rows) <= _MOST_ROWS else None, value=value)


def _short(sql: str) -> str:
    text = " ".join(sql.split())
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
