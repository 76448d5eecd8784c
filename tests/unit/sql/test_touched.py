"""What a text does to which tables, without a catalog."""

from __future__ import annotations

import pytest

from sql.errors import GuardRefusedError, SqlSyntaxError
from sql.touched import Touched, touched
from tests.support.statements import table_name


def names(*told: str) -> frozenset[object]:
    return frozenset(table_name(name) for name in told)


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("SELECT * FROM t JOIN a.U USING (id)", {"reads": names("d.t", "a.u")}),
        ("WITH c AS (SELECT * FROM t) SELECT * FROM c", {"reads": names("d.t")}),
        ("SELECT 1 WHERE EXISTS (SELECT 1 FROM t)", {"reads": names("d.t")}),
        ("SELECT * FROM csv.t", {"reads": names("csv.t")}),
        ("INSERT INTO t SELECT * FROM u", {"reads": names("d.u"), "appends": names("d.t")}),
        ("INSERT INTO t (a, b) VALUES (1, :b)", {"appends": names("d.t")}),
        ("INSERT OVERWRITE t TABLE u", {"reads": names("d.u"), "overwrites": names("d.t")}),
        ("CREATE TABLE t AS SELECT * FROM u", {"reads": names("d.u"), "creates": names("d.t")}),
        ("CREATE TABLE IF NOT EXISTS a.t (x INT)", {"creates": names("a.t")}),
        ("CREATE VIEW v AS SELECT * FROM t", {"reads": names("d.t"), "creates": names("d.v")}),
        ("DROP TABLE IF EXISTS t", {"drops": names("d.t")}),
        ("DROP VIEW a.v", {"drops": names("a.v")}),
        ("EXPLAIN INSERT INTO t SELECT * FROM u", {"reads": names("d.u")}),
        ("SHOW TABLES", {}),
        ("DESCRIBE t", {}),
        ("CREATE DATABASE a", {}),
    ],
)
def test_a_text_tells_what_it_touches(sql: str, expected: dict[str, frozenset[object]]) -> None:
    found = touched(sql, database="d")
    assert {name: getattr(found, name) for name in expected} == expected
    others = {"reads", "creates", "appends", "overwrites", "drops"} - set(expected)
    assert not any(getattr(found, name) for name in others)


def test_writes_are_all_that_change_rows() -> None:
    one = frozenset({table_name("d.a")})
    two = frozenset({table_name("d.b")})
    assert Touched(creates=one, appends=two, drops=one).writes == one | two


def test_what_cannot_be_read_is_refused() -> None:
    with pytest.raises(SqlSyntaxError):
        touched("SELEC 1", database="d")
    with pytest.raises(GuardRefusedError):
        touched("SELECT * FROM csv.`/etc/passwd`", database="d")
