"""Parameters are values in the tree: never text, never names."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlglot import exp

from sql.errors import ParameterError
from sql.syntax.dialect import render
from sql.syntax.parameters import Parameters, bind_parameters
from sql.syntax.parse import parse

scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(10**38) + 1, 10**38 - 1),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(st.characters(codec="utf-8")),
)


def bound(sql: str, parameters: Parameters) -> str:
    tree = parse(sql).tree
    bind_parameters(tree, parameters)
    assert tree is not None
    return render(tree)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("it's", r"'it\'s'"),
        ("1 OR 1=1 --", "'1 OR 1=1 --'"),
        (1, "1"),
        (-1, "(-1)"),
        (True, "TRUE"),
        (None, "NULL"),
        (0.1, "CAST('0.1' AS DOUBLE)"),
        ({"type": "date", "value": "2026-01-01"}, "CAST('2026-01-01' AS DATE)"),
        ({"type": "decimal(5,2)", "value": "1.50"}, "CAST(1.50 AS DECIMAL(5, 2))"),
        ({"type": "tinyint", "value": -128}, "CAST((-128) AS TINYINT)"),
        ({"type": "bigint", "value": "9223372036854775807"}, "CAST(9223372036854775807 AS BIGINT)"),
        ({"type": "boolean", "value": True}, "TRUE"),
        ({"type": "binary", "value": "AQ=="}, "X'01'"),
        ({"type": "date", "value": None}, "CAST(NULL AS DATE)"),
        (
            {"type": "timestamp", "value": "2026-01-01T00:00:00Z"},
            "CAST('2026-01-01T00:00:00Z' AS TIMESTAMP)",
        ),
    ],
)
def test_value_becomes(value: object, expected: str) -> None:
    assert bound("SELECT :p", {"p": value}) == f"SELECT {expected}"  # type: ignore[dict-item]


def test_positions_follow_the_text_not_the_tree() -> None:
    sql = "WITH a AS (SELECT ? AS x) SELECT ? FROM a WHERE x = ? ORDER BY ? LIMIT ?"
    assert bound(sql, [1, 2, 3, 4, 5]) == (
        "WITH a AS (SELECT 1 AS x) SELECT 2 FROM a WHERE x = 3 ORDER BY 4 LIMIT 5"
    )


def test_a_name_may_be_used_twice() -> None:
    assert bound("SELECT :p + :p", {"p": 1}) == "SELECT 1 + 1"


def test_marks_within_strings_are_no_parameters() -> None:
    assert bound("SELECT ':p ?'", ()) == "SELECT ':p ?'"


@pytest.mark.parametrize(
    ("sql", "values", "message"),
    [
        ("SELECT :a, :b", {"a": 1}, "no value for parameter :b"),
        ("SELECT 1", {"a": 1}, "the statement has no parameter :a"),
        ("SELECT ?", [1, 2], "the statement has no parameter number 2"),
        ("SELECT ?, ?", [1], "no value for parameter number 2"),
        ("SELECT 1 FROM :t", {"t": "x"}, "stands where a name is needed"),
        ("SELECT 1 AS :t", {"t": "x"}, "stands where a name is needed"),
        ("SELECT :p", {"p": float("nan")}, "not a finite number"),
        ("SELECT :p", {"p": 10**38}, "more than 38 digits"),
        ("SELECT :p", {"p": [1]}, "unknown type"),
        ("SELECT :p", {"p": {"type": "date"}}, "needs a type and a value"),
        ("SELECT :p", {"p": {"type": "date", "value": "1. Mai"}}, "not a value of type date"),
        ("SELECT :p", {"p": {"type": "tinyint", "value": 128}}, "not a value of type tinyint"),
        ("SELECT :p", {"p": {"type": "decimal(3,1)", "value": "1.23"}}, "does not fit"),
        ("SELECT :p", {"p": {"type": "decimal(3,1)", "value": "x"}}, "not a value"),
        ("SELECT :p", {"p": {"type": "map<int,int>", "value": 1}}, "unknown type"),
        ("SELECT :p", {"p": {"type": "binary", "value": "!"}}, "not a value of type binary"),
        ("SELECT :p", {"p": "\ud800"}, "not a text in Unicode"),
        ("SELECT :p", {"p p": 1}, "no name for a parameter"),
        ("SHOW TABLES", {"p": 1}, "the statement has no parameter :p"),
    ],
)
def test_unfit_parameter_is_named(sql: str, values: Parameters, message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        bound(sql, values)


@given(st.lists(scalars, min_size=3, max_size=3))
@settings(deadline=None)
def test_values_never_change_the_shape_of_the_tree(values: list[object]) -> None:
    sql = "SELECT ? AS a FROM t WHERE b = ? OR c IN (?, 1) GROUP BY d"
    written = bound(sql, values)  # type: ignore[arg-type]
    tree = parse(written).tree
    assert isinstance(tree, exp.Select)
    assert [select.alias for select in tree.selects] == ["a"]
    where = tree.args["where"].this
    assert isinstance(where, exp.Or)
    assert isinstance(where.left, exp.EQ)
    assert isinstance(where.right, exp.In)
    assert len(where.right.expressions) == 2
    assert len(list(tree.find_all(exp.Table))) == 1
