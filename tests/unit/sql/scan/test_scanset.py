"""The scans of statements, as tests/data/sql/scans.sql has them."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from sql.analysis.bind import bind
from sql.analysis.view import CatalogView, Relation
from sql.errors import StatementTooDeepError
from sql.scan.conditions import (
    All,
    Condition,
    Differs,
    Either,
    Maybe,
    Never,
    Null,
    OneOf,
    Range,
)
from sql.scan.scanset import Scan, scans
from sql.syntax.parse import parse
from tests.support.footers import make_snapshot, make_table
from tests.support.tpc import catalog_view, queries

DATA = Path(__file__).parents[3] / "data" / "sql" / "scans.sql"


def cases() -> Iterator[tuple[str, list[str]]]:
    wanted: list[str] = []
    for line in DATA.read_text().splitlines()[3:]:
        if line.startswith("-- "):
            wanted.append(line.removeprefix("-- ").rstrip())
        else:
            yield line.removesuffix(";"), wanted
            wanted = []


@cache
def lake() -> CatalogView:
    tables = [
        make_table("a", [("k", "int"), ("x", "int"), ("s", "string")]),
        make_table("b", [("k", "int"), ("y", "int")]),
        make_table("days", [("n", "int"), ("day", "date")], partitioned_by=("day",)),
    ]
    relations = [Relation(definition=item, snapshot=make_snapshot(item, [])) for item in tables]
    return CatalogView(
        relations={relation.name: relation for relation in relations}, databases=("default",)
    )


def scans_of(sql: str) -> tuple[Scan, ...]:
    return scans(bind(parse(sql), view=lake(), database="default"))


def written(condition: Condition) -> str:
    """A condition as the case file has it."""
    match condition:
        case Maybe():
            return ""
        case Never():
            return "never"
        case All(parts):
            return " and ".join(written(part) for part in parts)
        case Either(parts):
            return " or ".join(written(part) for part in parts)
        case Range(column=column, low=low, high=high) if low == high:
            return f"{column} = {low!r}"
        case Range(column=column, low=low, high=high, open_high=open_high):
            ends = [f"{column} >= {low!r}"] if low is not None else []
            if high is not None:
                ends.append(f"{column} {'<' if open_high else '<='} {high!r}")
            return " and ".join(ends)
        case Null(column=column, negated=negated):
            return f"{column} is {'not ' if negated else ''}null"
        case Differs(column=column, value=value):
            return f"{column} <> {value!r}"
        case OneOf(column=column, values=values):
            return f"{column} in {values}"


@pytest.mark.parametrize(("sql", "wanted"), list(cases()))
def test_scans_are_those_of_the_case(sql: str, wanted: list[str]) -> None:
    found = [
        f"{scan.table.name}: {' '.join(scan.columns)} | {written(scan.condition)}".rstrip()
        for scan in scans_of(sql)
    ]
    assert sorted(found) == sorted(wanted)


#: Scans of each TPC-DS statement that has more than one of some table; equal to Sail's plan.
@pytest.mark.parametrize(("number", "count"), [(4, 18), (11, 12), (74, 12), (9, 16), (88, 32)])
def test_scans_of_tpcds_are_counted_as_the_engine_has_them(number: int, count: int) -> None:
    query = queries("tpcds")[number - 1]
    bound = bind(parse(query.sql), view=catalog_view("tpcds"), database="tpcds")
    assert len(scans(bound)) == count


def test_thousands_of_unions_are_walked() -> None:
    sql = " UNION ALL ".join(f"SELECT x FROM a WHERE k = {n}" for n in range(300))
    try:
        assert len(scans_of(sql)) == 300
    except StatementTooDeepError:
        pytest.skip("refused before it comes to scans")


def test_a_filter_of_many_parts_stays_within_its_steps() -> None:
    sql = "SELECT x FROM a WHERE " + " OR ".join(f"k = {n}" for n in range(400))
    assert isinstance(scans_of(sql)[0].condition, Either)


def test_doubling_through_derived_tables_ends() -> None:
    """Each level names the one below twice: 2^24 ways down; past the steps all is unknown."""
    inner = "SELECT k = 1 AS f FROM a"
    for _ in range(24):
        inner = f"SELECT f OR f AS f FROM ({inner}) d"
    assert [scan.condition for scan in scans_of(f"SELECT f FROM ({inner}) d WHERE f")] == [Maybe()]
