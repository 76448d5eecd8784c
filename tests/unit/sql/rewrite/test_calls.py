"""Every function of Spark reaches the engine by its own name with all of its arguments."""

from __future__ import annotations

import logging

import pytest

from sql.errors import SqlSyntaxError
from sql.rewrite.calls import engine_tree
from sql.syntax.dialect import render
from sql.syntax.parse import parse
from sql.syntax.spark_functions import SPARK_FUNCTIONS

#: Printed in another form that means the same: keywords, casts, and names that are operators.
SAME_MEANING = {
    "and", "any", "boolean", "collate", "curdate", "current_date", "date", "div",
    "double", "extract", "float", "ilike", "int", "like", "ltrim", "not", "or",
    "overlay", "position", "regexp_like", "rlike", "rtrim", "session_user", "string", "substr",
    "timestamp", "transform", "trim",
}  # fmt: skip


@pytest.mark.parametrize("name", sorted(SPARK_FUNCTIONS - SAME_MEANING))
def test_call_is_verbatim(name: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.CRITICAL)
    for count in range(7):
        arguments = ", ".join("abcdefg"[:count])
        call = f"{name}({arguments})"
        try:
            tree = engine_tree(parse(f"SELECT {call} AS z FROM t"))
        except SqlSyntaxError:
            continue
        assert render(tree).lower() == f"select {call} as z from t"


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT FIRST(a) IGNORE NULLS OVER (ORDER BY b) FROM t",
        "SELECT STRUCT(a AS x, b) FROM t",
        "SELECT REDUCE(a, 0, (s, x) -> s + x, s -> s * 2) FROM t",
        "SELECT LISTAGG(DISTINCT a, ',') WITHIN GROUP (ORDER BY b) FROM t",
        "SELECT TIMESTAMPADD(DAY, 1, a) FROM t",
        "WITH first(len) AS (SELECT 1) SELECT len.len FROM first AS last(x)",
    ],
)
def test_form_around_a_call_stays(sql: str) -> None:
    assert render(engine_tree(parse(sql))) == sql
