"""Text to tree, and what is told when there is none. Most errors are in errors.sql."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlglot import exp

from sql.errors import SqlSyntaxError, UnsupportedStatementError
from sql.statement import ExplainLevel, StatementKind
from sql.syntax.dialect import render
from sql.syntax.parse import parse
from storage.base.errors import ServiceError


@pytest.mark.parametrize(
    ("sql", "kind"),
    [
        ("SELECT 1", StatementKind.QUERY),
        ("(SELECT 1)", StatementKind.QUERY),
        ("FROM t SELECT a", StatementKind.QUERY),
        ("VALUES (1)", StatementKind.QUERY),
        ("WITH a AS (SELECT 1) SELECT * FROM a", StatementKind.QUERY),
        ("SELECT 1 INTERSECT SELECT 2", StatementKind.QUERY),
        ("INSERT INTO t SELECT 1", StatementKind.INSERT),
        ("INSERT INTO t TABLE s", StatementKind.INSERT),
        ("INSERT OVERWRITE t SELECT 1", StatementKind.INSERT_OVERWRITE),
        ("CREATE TABLE t (a INT)", StatementKind.CREATE_TABLE),
        ("CREATE TABLE t AS SELECT 1 AS a", StatementKind.CREATE_TABLE_AS),
        ("CREATE VIEW v AS SELECT 1 AS a", StatementKind.CREATE_VIEW),
        ("create schema s", StatementKind.CREATE_DATABASE),
        ("DROP DATABASE d", StatementKind.DROP_DATABASE),
        ("DROP TABLE t", StatementKind.DROP_TABLE),
        ("DROP VIEW v", StatementKind.DROP_VIEW),
        ("SHOW TABLES", StatementKind.SHOW),
        ("desc t", StatementKind.DESCRIBE),
    ],
)
def test_kind(sql: str, kind: StatementKind) -> None:
    assert parse(sql).kind is kind


@pytest.mark.parametrize(
    "word",
    """ALTER ANALYZE CACHE CALL COPY DECLARE DELETE EXECUTE GRANT LOAD MERGE OPTIMIZE REFRESH
    REPLACE REVOKE SET TABLE TRUNCATE UNCACHE UPDATE USE VACUUM""".split(),  # noqa: SIM905
)
def test_statement_is_refused_by_its_name(word: str) -> None:
    with pytest.raises(UnsupportedStatementError, match=f"^{word} is not supported yet"):
        parse(f"{word} x")


@pytest.mark.parametrize("level", list(ExplainLevel))
def test_explain_is_taken_off_and_places_stay(level: ExplainLevel) -> None:
    word = "" if level is ExplainLevel.SIMPLE else level.value.upper()
    parsed = parse(f"EXPLAIN {word}\nSELECT a FROM t")
    assert parsed.explain is level
    assert parsed.tree is not None
    column = next(parsed.tree.find_all(exp.Column))
    assert parsed.place(column.this.meta["start"]).line == 2


def test_columns_named_like_statements_are_no_statements() -> None:
    parsed = parse("SELECT explain, show, `set`, t.update FROM t")
    assert parsed.kind is StatementKind.QUERY


def test_word_that_the_parser_chokes_on_is_a_syntax_error() -> None:
    with pytest.raises(SqlSyntaxError):
        parse("SELECT map(1, 2, 3)")


@pytest.mark.parametrize("name", ["date_trunc", "sequence", "max_by", "trunc", "decode"])
@pytest.mark.parametrize("count", range(7))
def test_any_number_of_arguments_is_read_or_refused(name: str, count: int) -> None:
    with suppress(SqlSyntaxError):
        parse(f"SELECT {name}({', '.join('abcdefg'[:count])})")


pieces = st.sampled_from(
    """SELECT FROM WHERE ( ) , ; 'a' "b" `c` 1 1.5 -- /* */ + - * / AND OR NOT NULL CASE WHEN THEN
    END WITH AS JOIN ON UNION ALL VALUES INSERT INTO CREATE TABLE VIEW EXPLAIN SHOW DROP : ? . [ ]
    OVER PARTITION BY GROUP ORDER LIMIT IN EXISTS BETWEEN INTERVAL DAY CAST < > STRUCT ARRAY a t
    explode count é $ { } | \\ \n""".split(" ")  # noqa: SIM905
)


@given(st.lists(pieces, max_size=25))
@settings(deadline=None, max_examples=300)
def test_any_text_is_read_or_refused(words: list[str]) -> None:
    with suppress(ServiceError):
        parse(" ".join(words))


@given(st.text(st.characters(codec="utf-8"), max_size=40))
@settings(deadline=None)
def test_string_survives_printing_and_parsing(value: str) -> None:
    written = render(exp.select(exp.Literal.string(value)))
    tree = parse(written).tree
    assert tree is not None
    assert next(tree.find_all(exp.Literal)).this == value
