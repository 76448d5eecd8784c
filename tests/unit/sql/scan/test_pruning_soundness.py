"""Pruning never drops a row that the filter keeps: random filters over random rows.

The rows go through a real Parquet file of several row groups; DuckDB says which rows a filter
keeps. Its order of NaN and its three-valued logic are Spark's.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from datetime import date, datetime
from decimal import Decimal
from functools import cache
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pytest
import sqlglot
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st
from sqlglot import exp

from sql.scan.filters import BaseColumn, Filter, Meaning, Steps, condition_of
from sql.scan.pruning import may_hold
from sql.scan.units import units_of
from storage.catalog.definitions import TableDef
from tests.support.footers import make_snapshot, make_table, parquet_bytes

COLUMNS = [
    ("i", "int"), ("l", "bigint"), ("m", "decimal(12,2)"), ("d", "double"), ("f", "float"),
    ("s", "string"), ("day", "date"), ("ts", "timestamp_ntz"), ("b", "boolean"),
]  # fmt: skip
TYPES = {
    "i": pa.int32(), "l": pa.int64(), "m": pa.decimal128(12, 2), "d": pa.float64(),
    "f": pa.float32(), "s": pa.string(), "day": pa.date32(), "ts": pa.timestamp("us"),
    "b": pa.bool_(),
}  # fmt: skip
NAN, INF = float("nan"), float("inf")
VALUES: dict[str, list[Any]] = {
    "i": [-3, -1, 0, 1, 2, 5, 7, 2**31 - 1],
    "l": [-(2**63), -1, 0, 1, 5, 2**53, 2**53 + 1, 2**63 - 1],
    "m": [Decimal(text) for text in ("-1.50", "-0.01", "0.00", "0.05", "0.06", "1.00", "99.99")],
    "d": [NAN, -0.0, 0.0, 0.05, 0.1, 1.0, -2.5, 5.0, INF, -INF, 1e300, float(2**53)],
    "f": [NAN, -0.0, 0.0, 0.05, 0.1, 1.0, -2.5, 5.0, INF, -INF],
    "s": ["", "a", "ab", "abc", "b", "ba", "Z", "é", "\U0010ffff", "a\0", "0", "10"],
    "day": [date(1969, 12, 31), date(1970, 1, 1), date(1998, 9, 2), date(1998, 9, 3)],
    "ts": [datetime(1998, 9, 2), datetime(1998, 9, 2, 0, 0, 0, 1), datetime(1969, 12, 31, 23)],  # noqa: DTZ001
    "b": [True, False],
}  # fmt: skip
LITERALS: dict[str, list[str]] = {
    "i": ["-1", "0", "1", "5", "2", "1.5", "5.0", "5e0", "1 + 1", "2147483647", "99999999999"],
    "l": ["0", "5", "9007199254740992", "9007199254740993", "9007199254740992e0", "1.5", "-1"],
    "m": ["0.05", "0.06 - 0.01", "1", "1.005", "-0.01", "99.99", "5e-2", "0.055", "-1.5"],
    "d": ["0", "0.05", "5e-2", "0.1", "1", "1.0", "-2.5", "5", "1e300", "-0.0", "-0e0"],
    "f": ["0", "0.05", "5e-2", "0.1", "1e-1", "1", "-2.5", "-0.0"],
    "s": ["''", "'a'", "'ab'", "'abc'", "'b'", "'Z'", "'é'", "'zz'", "'a' || 'b'"],
    "day": [
        "DATE '1998-09-02'", "DATE '1998-12-01' - INTERVAL 90 DAY", "DATE '1970-01-01'",
        "DATE '1998-08-03' + INTERVAL 1 MONTH", "'1998-09-02'", "CAST('1998-09-03' AS DATE)",
        "TIMESTAMP_NTZ '1998-09-02 00:00:01'",
    ],
    "ts": [
        "TIMESTAMP_NTZ '1998-09-02 00:00:00'", "TIMESTAMP_NTZ '1998-09-02 00:00:00.000001'",
        "DATE '1998-09-02'", "DATE '1970-01-01'", "'1998-09-02 00:00:00'",
    ],
    "b": ["TRUE", "FALSE"],
}  # fmt: skip
PATTERNS = ["'a%'", "'ab%'", "'%b'", "'a_'", "''", "'abc'", "'é%'", "'\U0010ffff%'", "'%'"]
NOT = st.sampled_from(["", "NOT "])
TABLE = make_table("t", COLUMNS)


def lookup(column: exp.Column) -> Meaning:
    return BaseColumn(name=column.name, type=dict(COLUMNS)[column.name])


@st.composite
def leaves(draw: st.DrawFn) -> str:
    column = draw(st.sampled_from([name for name, _ in COLUMNS]))
    literal = st.one_of(st.sampled_from(LITERALS[column]), st.just("NULL"))
    shapes: dict[str, Callable[[], str]] = {
        "compare": lambda: (
            f"{column} {draw(st.sampled_from(['=', '<>', '<', '<=', '>', '>=']))} {draw(literal)}"
        ),
        "swapped": lambda: (
            f"{draw(literal)} {draw(st.sampled_from(['=', '<>', '<', '>=']))} {column}"
        ),
        "between": lambda: f"{column} {draw(NOT)}BETWEEN {draw(literal)} AND {draw(literal)}",
        "in": lambda: (
            f"{column} {draw(NOT)}IN "
            f"({', '.join(draw(st.lists(literal, min_size=1, max_size=12)))})"
        ),
        "null": lambda: f"{column} IS NULL",
        "filled": lambda: f"{column} IS NOT NULL",
        "distinct": lambda: f"{column} IS NOT DISTINCT FROM {draw(literal)}",
        "columns": lambda: f"{column} = {column}",
        "function": lambda: f"coalesce({column}, {draw(literal)}) = {draw(literal)}",
        "constant": lambda: draw(st.sampled_from(["1 = 1", "1 = 0", "NULL", "TRUE", "'a' = 'b'"])),
    }
    if column == "s":
        shapes["like"] = lambda: f"s {draw(NOT)}LIKE {draw(st.sampled_from(PATTERNS))}"
    if column == "b":
        shapes["bare"] = lambda: "b"
        shapes["is"] = lambda: f"b IS {draw(NOT)}TRUE"
    if column == "i":
        shapes["cast"] = lambda: f"CAST(i AS BIGINT) > {draw(literal)}"
    return shapes[draw(st.sampled_from(sorted(shapes)))]()


FILTERS = st.recursive(
    leaves(),
    lambda inner: st.one_of(
        st.tuples(inner, inner).map(lambda pair: f"({pair[0]} AND {pair[1]})"),
        st.tuples(inner, inner).map(lambda pair: f"({pair[0]} OR {pair[1]})"),
        inner.map(lambda one: f"NOT ({one})"),
    ),
    max_leaves=6,
)
CELLS = st.fixed_dictionaries(
    {name: st.one_of(st.none(), st.sampled_from(VALUES[name])) for name, _ in COLUMNS}
)
ROWS = st.lists(CELLS, min_size=1, max_size=14)


def arrow(rows: list[dict[str, Any]]) -> pa.Table:
    """The rows with their place in a column of its own."""
    fields = [pa.array([row[name] for row in rows], TYPES[name]) for name, _ in COLUMNS]
    places = pa.array(range(len(rows)), pa.int64())
    return pa.table([*fields, places], names=[*(name for name, _ in COLUMNS), "place"])


def kept_rows(rows: pa.Table, text: str) -> list[int]:
    """Places of the rows that DuckDB's full evaluation keeps."""
    text = text.replace("TIMESTAMP_NTZ", "TIMESTAMP")
    database().register("rows", rows)
    found = database().execute(f"SELECT place FROM rows WHERE {text}").fetchall()
    return [place for (place,) in found]


@cache
def database() -> duckdb.DuckDBPyConnection:
    """One in memory for all examples: making one takes longer than asking it."""
    return duckdb.connect(config={"threads": 1})


def kept_groups(text: str, table: TableDef, data: bytes) -> np.ndarray[Any, np.dtype[np.bool_]]:
    tree = sqlglot.parse_one(text, read="spark")
    condition = condition_of(Filter(expression=tree, lookup=lookup), Steps(left=10_000))
    return may_hold(condition, units_of(table, make_snapshot(table, [(data, ())])))


@settings(max_examples=250, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    ROWS,
    st.integers(1, 5),
    st.lists(FILTERS, min_size=1, max_size=5),
    st.one_of(st.just(True), st.sets(st.sampled_from(sorted(TYPES))).map(sorted)),
)
def test_no_kept_row_is_in_a_pruned_group(
    rows: list[dict[str, Any]], group_rows: int, texts: list[str], statistics: bool | list[str]
) -> None:
    table = arrow(rows)
    data = parquet_bytes(table, group_rows=group_rows, statistics=statistics)
    for text in texts:
        mask = kept_groups(text, TABLE, data)
        wanted = {place // group_rows for place in kept_rows(table, text)}
        event(f"pruned {not mask.all()}")
        assert not [group for group in wanted if not mask[group]], text


@pytest.mark.parametrize("column", [name for name, _ in COLUMNS])
def test_no_pair_of_values_is_pruned_wrongly(column: str) -> None:
    """Every comparison with every literal, over row groups of every two values."""
    values = [*VALUES[column], None]
    cells = [value for pair in itertools.combinations_with_replacement(values, 2) for value in pair]
    empty = {name: None for name, _ in COLUMNS}
    table = arrow([{**empty, column: value} for value in cells])
    data = parquet_bytes(table, group_rows=2)
    texts = [
        f"{before}{column} {operator} {literal}"
        for literal in LITERALS[column]
        for operator in ("=", "<>", "<", "<=", ">", ">=", "IS DISTINCT FROM")
        for before in ("", "NOT ")
    ]
    for text in texts:
        mask = kept_groups(text, TABLE, data)
        wanted = {place // 2 for place in kept_rows(table, text)}
        assert not [cells[2 * group : 2 * group + 2] for group in wanted if not mask[group]], text


@pytest.mark.parametrize(
    ("text", "groups"),
    [
        ("i >= 5", [1, 2]),
        ("NOT i < 5", [1, 2]),
        ("i BETWEEN 3 AND 4", []),
        ("i IN (0, 9, 9, 9, 9, 9, 9, 9, 9, 10)", [0]),
        ("i IS NULL", [2]),
        ("s LIKE 'b%'", [1]),
        ("s NOT LIKE 'b%'", [0, 1, 2]),
        ("NOT s NOT LIKE 'b%'", [1]),
        ("s > 'b'", [1, 2]),
        ("day < DATE '1998-12-01' - INTERVAL 90 DAY", [0]),
        ("m = 0.06 - 0.01", [1]),
        ("b", [1, 2]),
        ("i = 1 OR (s = 'c' AND m = 1)", [0, 2]),
        ("d < 1", [0]),
        ("d > 2.5", [0, 1, 2]),  # NaN is greater than everything, and no footer shows it
        ("d > 2.5 AND d < 1e9", [1]),
        ("i <=> NULL", [2]),
        ("i <> 1", [0, 1, 2]),
        ("b <> FALSE", [1, 2]),
        ("rand() < 0.5", [0, 1, 2]),
        ("i = '5'", [1]),
        ("i > '5'", [0, 1, 2]),  # Sail compares the texts
        ("s = 5", [0, 1, 2]),
    ],
)
def test_groups_without_a_match_are_pruned(text: str, groups: list[int]) -> None:
    first = {
        "i": 0, "l": 0, "m": Decimal("0.00"), "d": 0.5, "f": 0.5, "s": "a",
        "day": date(1998, 9, 1), "ts": None, "b": False,
    }  # fmt: skip
    second = {**first, "i": 5, "m": Decimal("0.05"), "d": 3.0, "s": "b", "b": True}
    third = {**first, "i": 7, "m": Decimal("1.00"), "d": NAN, "s": "c", "b": True}
    second["day"] = third["day"] = date(1998, 9, 2)
    rows = [
        first,
        {**first, "i": 1},
        second,
        {**second, "s": "bz"},
        third,
        {**third, "i": None, "d": 1e12},
    ]
    mask = kept_groups(text, TABLE, parquet_bytes(arrow(rows), group_rows=2))
    assert np.flatnonzero(mask).tolist() == groups
