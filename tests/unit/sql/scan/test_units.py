"""Partition values and files without footers, as statistics."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest
import sqlglot
from sqlglot import exp

from sql.analysis.view import Relation
from sql.scan.filters import BaseColumn, Filter, Meaning, Steps, condition_of
from sql.scan.pruning import may_hold
from sql.scan.units import units_of
from storage.catalog.definitions import TableFormat
from tests.support.footers import relation_of

ROWS = pa.table({"n": pa.array([1, 2, 3], pa.int32())})


def partitioned(kind: str, *values: str | None) -> Relation:
    return relation_of("t", {(value,): ROWS for value in values}, partitions=[("p", kind)])


def kept(relation: Relation, text: str) -> list[int]:
    """Places of the units that a filter leaves."""
    types = {column.name: column.type for column in relation.columns}

    def lookup(column: exp.Column) -> Meaning:
        return BaseColumn(name=column.name, type=types[column.name])

    tree = sqlglot.parse_one(text, read="spark")
    condition = condition_of(Filter(expression=tree, lookup=lookup), Steps(left=1000))
    assert relation.snapshot is not None
    units = units_of(relation.definition, relation.snapshot)
    return np.flatnonzero(may_hold(condition, units)).tolist()


@pytest.mark.parametrize(
    ("kind", "values", "text", "places"),
    [
        ("int", ("1", "02", "-3", None), "p = 2", [1]),
        ("int", ("1", "02", "-3", None), "p < 2", [0, 2]),
        ("int", ("1", "02", "-3", None), "p IS NULL", [3]),
        ("int", ("1", "02", "-3", None), "p IS NOT NULL", [0, 1, 2]),
        ("int", ("1", "x"), "p = 2", [1]),
        ("bigint", ("99999999999999999999", "2"), "p = 2", [0, 1]),
        ("date", ("2026-01-01", "2026-01-02"), "p = '2026-01-02'", [1]),
        ("date", ("2026-01-01", "2026-1-2"), "p = '2026-01-02'", [1]),
        ("string", ("a", "B", None), "p >= 'a'", [0]),
        ("string", ("a", "ab", "b"), "p LIKE 'a%'", [0, 1]),
        ("boolean", ("true", "False", None), "NOT p", [1]),
        ("timestamp", ("2026-01-01 10:00:00", "2026-01-02"), "p < '2026-01-01 11:00:00'", [0]),
        ("double", ("1.5", "2.5"), "p = 1.5", [0, 1]),
        ("int", ("1", "2"), "p = 1 OR n = 7", [0]),
        ("int", ("1", "2"), "p = 1 OR n = 3", [0, 1]),
    ],
)
def test_partitions_are_left_out_by_their_value(
    kind: str, values: tuple[str | None, ...], text: str, places: list[int]
) -> None:
    assert kept(partitioned(kind, *values), text) == places


def test_files_without_footers_are_left_out_by_partition_only() -> None:
    relation = partitioned("int", "1", "2", None)
    snapshot = relation.snapshot
    assert snapshot is not None
    files = tuple(replace(file, rows=None) for file in snapshot.files)
    relation = Relation(
        definition=replace(relation.definition, format=TableFormat.CSV),
        snapshot=replace(snapshot, groups=None, files=files),
    )
    assert kept(relation, "p = 2 AND n = 99") == [1]
    assert kept(relation, "p IS NULL") == [2]


def test_a_file_without_rows_is_never_kept() -> None:
    relation = relation_of("t", {(): ROWS.slice(0, 0)})
    assert kept(relation, "n IS NULL OR n = 1") == []


def test_a_column_that_a_file_lacks_is_null_there() -> None:
    relation = relation_of("t", {(): ROWS})
    columns = relation.definition.columns
    wider = replace(relation.definition, columns=(*columns, replace(columns[0], name="new")))
    assert kept(replace(relation, definition=wider), "new IS NULL AND n = 1") == [0]
