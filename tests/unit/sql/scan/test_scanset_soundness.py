"""A statement over only the row groups that its scans keep gives the rows that it gives over all.

Random conditions are put into queries of every shape that filters are carried through: joins of
each kind, derived tables, set operations, groups, windows, subqueries. DuckDB runs them twice.
"""

from __future__ import annotations

import random
import re
from functools import cache
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa
import pytest
import sqlglot
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sql.analysis.bind import bind
from sql.analysis.view import CatalogView, Relation
from sql.scan.pruning import may_hold
from sql.scan.scanset import Scan, scans
from sql.scan.units import units_of
from sql.statement import TableName
from sql.syntax.parse import parse
from tests.support.footers import make_snapshot, make_table, parquet_bytes

GROUP_ROWS = 2
DATA = Path(__file__).parents[3] / "data" / "sql" / "scan_shapes.sql"
COLUMNS = {"a": ("k", "x"), "b": ("k", "y"), "c": ("k", "z")}

#: Shapes of queries: ``{a.x b.y}`` is a place for a random condition on these columns.
SHAPES = [line for line in DATA.read_text().splitlines() if not line.startswith("--")]

PLACE = re.compile(r"\{([^}]*)\}")


@st.composite
def conditions(draw: st.DrawFn, columns: list[str], depth: int = 0) -> str:
    shape = draw(st.integers(0, 9 if depth < 2 else 5))
    column, value = draw(st.sampled_from(columns)), draw(st.integers(0, 4))
    if shape == 0:
        return f"{column} IS NULL"
    if shape == 1:
        return f"{column} IS NOT NULL"
    if shape == 2:
        return f"coalesce({column}, {draw(st.integers(0, 4))}) = {value}"
    if shape <= 5:
        return f"{column} {draw(st.sampled_from(['=', '<', '>=', '<>', '>']))} {value}"
    if shape == 6:
        return f"NOT ({draw(conditions(columns, depth + 1))})"
    parts = draw(conditions(columns, depth + 1)), draw(conditions(columns, depth + 1))
    return f"({parts[0]} {'AND' if shape == 7 else 'OR'} {parts[1]})"


@st.composite
def statements(draw: st.DrawFn, shape: str) -> str:
    return PLACE.sub(lambda place: draw(conditions(place[1].split())), shape)


@cache
def database() -> duckdb.DuckDBPyConnection:
    return duckdb.connect(config={"threads": 1})


def answer(text: str, tables: dict[str, pa.Table]) -> list[str]:
    for name, table in tables.items():
        database().register(name, table)
    return sorted(map(repr, database().execute(text).fetchall()))


@cache
def lake(seed: int) -> tuple[dict[str, pa.Table], CatalogView]:
    """Three small tables, sorted by their second column so that row groups differ in it."""
    chance = random.Random(seed)
    tables, relations = {}, {}
    for name, (first, second) in COLUMNS.items():
        rows: list[tuple[int | None, int | None]] = [
            (chance.randrange(4), value) for value in (0, 0, 1, 1, 2, 3, 3, 4, None, None)
        ]
        rows += [(None, 1), (None, None)][: seed % 3]
        columns = [pa.array([row[place] for row in rows], pa.int32()) for place in (0, 1)]
        tables[name] = pa.table(columns, names=[first, second])
        definition = make_table(name, [(first, "int"), (second, "int")])
        content = parquet_bytes(tables[name], group_rows=GROUP_ROWS)
        relation = Relation(
            definition=definition, snapshot=make_snapshot(definition, [(content, ())])
        )
        relations[relation.name] = relation
    return tables, CatalogView(relations=relations, databases=("default",))


@pytest.mark.parametrize("shape", SHAPES)
@settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data(), seed=st.integers(0, 5))
def test_the_kept_row_groups_give_the_same_rows(shape: str, data: st.DataObject, seed: int) -> None:
    tables, view = lake(seed)
    text = data.draw(statements(shape))
    made = scans(bind(parse(text), view=view, database="default"))
    kept = {name: table.take(kept_rows(made, view, name)) for name, table in tables.items()}
    spoken = sqlglot.transpile(text, read="spark", write="duckdb")[0]
    assert answer(spoken, kept) == answer(spoken, tables), text


def kept_rows(made: tuple[Scan, ...], view: CatalogView, table: str) -> pa.Array:
    """Places of the rows in row groups that any scan of ``table`` keeps."""
    name = TableName(database="default", name=table)
    relation = view.relations[name]
    assert relation.snapshot is not None
    units = units_of(relation.definition, relation.snapshot)
    mask = np.zeros(units.count, dtype=np.bool_)
    for scan in made:
        if scan.table == name:
            mask |= may_hold(scan.condition, units)
    return pa.array(np.flatnonzero(np.repeat(mask, units.rows)), pa.int64())
