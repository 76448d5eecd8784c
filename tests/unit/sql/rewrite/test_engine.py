"""The SQL that engines get, as pairs of text."""

from __future__ import annotations

import pytest
import sqlglot
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlglot import exp

from sql.errors import UnsupportedStatementError
from sql.syntax.dialect import DIALECT_NAME
from tests.support.sql_cases import SqlCase, sql_cases
from tests.support.statements import prepared

texts = st.text(st.characters(codec="utf-8", exclude_characters="\r"), max_size=30)


def engine_sql(sql: str, **arguments: object) -> str:
    text = prepared(sql, **arguments).engine_sql  # type: ignore[arg-type]
    assert text is not None
    return text


def tree_of(sql: str) -> exp.Select:
    tree = sqlglot.parse_one(sql, read=DIALECT_NAME)
    assert isinstance(tree, exp.Select)
    return tree


@pytest.mark.parametrize("case", sql_cases("rewrite.sql"), ids=lambda case: case.name)
def test_statement_becomes(case: SqlCase) -> None:
    assert engine_sql(case.sql) == case.expected


@settings(deadline=None)
@given(texts)
def test_text_of_a_parameter_arrives_whole(value: str) -> None:
    written = engine_sql("SELECT :p AS a", parameters={"p": value})
    assert tree_of(written.replace("$\\{", "${")).selects[0].this.name == value


@settings(deadline=None)
@given(texts)
def test_text_of_a_parameter_never_ends_its_literal(value: str) -> None:
    written = engine_sql("SELECT :p AS a, 1 AS b", parameters={"p": value})
    tree = tree_of(written)
    assert [each.alias for each in tree.selects] == ["a", "b"]
    assert "${" not in written


@settings(deadline=None)
@given(st.lists(texts, min_size=1, max_size=5))
def test_rewriting_keeps_the_number_of_columns(values: list[str]) -> None:
    sql = f"SELECT {', '.join('?' for _ in values)}, * FROM customers"
    statement = prepared(sql, parameters=values)
    assert len(statement.column_names) == len(values) + 2
    assert statement.engine_sql is not None
    tree = tree_of(statement.engine_sql)
    assert len(tree.selects) == len(values) + 1


def test_name_that_spark_would_substitute_is_refused() -> None:
    with pytest.raises(UnsupportedStatementError):
        prepared("SELECT 1 AS `${env:HOME}`")
