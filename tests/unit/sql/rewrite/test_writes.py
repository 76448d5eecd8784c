"""What may be written where; the SQL of writes is in rewrite.sql, refusals are in errors.sql."""

from __future__ import annotations

import pytest

from sql.errors import ColumnCountError, SqlError, TypeMismatchError
from tests.support.statements import prepared


@pytest.mark.parametrize(
    "value",
    [
        "1", "1.5", "NULL", "CAST(1 AS TINYINT)", "1 + id", "count(1)", "unknown_type",
    ],
)  # fmt: skip
def test_number_takes(value: str) -> None:
    source = "SELECT from_json('1', 'int') AS unknown_type, id FROM orders"
    group = " GROUP BY unknown_type, id" if "count" in value else ""
    prepared(f"INSERT INTO customers SELECT {value}, 'x' FROM ({source}) AS s{group}")


@pytest.mark.parametrize("value", ["'1'", "true", "DATE '2026-01-01'", "tags", "address"])
def test_number_refuses(value: str) -> None:
    with pytest.raises(TypeMismatchError, match="column id is bigint"):
        prepared(f"INSERT INTO customers SELECT {value}, 'x' FROM orders")


@pytest.mark.parametrize("value", ["1", "true", "DATE '2026-01-01'", "total"])
def test_text_takes_every_plain_type(value: str) -> None:
    prepared(f"INSERT INTO customers SELECT 1, {value} FROM orders")


def test_date_takes_timestamps_only() -> None:
    prepared("INSERT INTO ledger (id, day) SELECT 1, TIMESTAMP '2026-01-01 00:00:00'")
    with pytest.raises(TypeMismatchError):
        prepared("INSERT INTO ledger (id, day) SELECT 1, '2026-01-01'")


def test_by_name_needs_each_column_once() -> None:
    with pytest.raises(SqlError):
        prepared("INSERT INTO customers BY NAME SELECT id, id FROM orders")


def test_by_name_minds_columns_that_must_be() -> None:
    with pytest.raises(ColumnCountError):
        prepared("INSERT INTO ledger BY NAME SELECT customer FROM orders")


def test_default_is_null() -> None:
    statement = prepared("INSERT INTO customers VALUES (1, DEFAULT)")
    assert statement.engine_sql is not None
    assert "VALUES (1, NULL)" in statement.engine_sql


def test_columns_of_unknown_number_cannot_be_written() -> None:
    with pytest.raises(SqlError, match="known to the engine only"):
        prepared("CREATE TABLE t AS SELECT posexplode(tags) FROM orders")
