"""The pass before the parser: bounds, comments, quotes, statements."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sql.errors import (
    EmptyStatementError,
    SeveralStatementsError,
    SqlSyntaxError,
    StatementTooDeepError,
    StatementTooLargeError,
)
from sql.syntax.lexer import MAX_CHARACTERS, MAX_DEPTH, lex, lex_one, split_script
from storage.base.errors import ServiceError


@given(st.text("aR;'\"`-/* \n\\(){}é", max_size=60))
@settings(deadline=None)
def test_cleaned_text_keeps_every_place(text: str) -> None:
    try:
        lexed = lex(text)
    except ServiceError:
        return
    assert len(lexed.clean) == len(text)
    assert [at for at, c in enumerate(lexed.clean) if c == "\n"] == [
        at for at, c in enumerate(text) if c == "\n"
    ]


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        ("'it''s'", r"'it\'s'"),
        ('"a""b"', r'"a\"b"'),
        (r"'a\'''b'", r"'a\'\'b'"),
        ("'--' -- x", "'--'     "),
        ("1 /* a /* ; */ */ + 1", "1" + " " * 17 + "+ 1"),
        ("'/*'", "'/*'"),
        ("`a--b`", "`a--b`"),
        (r"r'\'", r"r'\'"),
    ],
)
def test_clean(text: str, clean: str) -> None:
    assert lex(text).clean == clean


def test_script_is_split_outside_of_quotes_and_comments() -> None:
    script = "-- first; \nSELECT ';', `;`; /* ; */\n\nSELECT 2 -- end\n;;"
    parts = split_script(script)
    assert [(part.sql, part.line) for part in parts] == [("SELECT ';', `;`", 2), ("SELECT 2", 4)]


def test_script_of_comments_is_empty() -> None:
    assert split_script("-- nothing\n;") == ()


def test_one_statement_is_needed() -> None:
    with pytest.raises(EmptyStatementError):
        lex_one(" ; ")
    with pytest.raises(SeveralStatementsError) as caught:
        lex_one("SELECT 1;\n SELECT 2")
    assert (caught.value.details["line"], caught.value.details["column"]) == (2, 2)


def test_trailing_semicolon_is_no_second_statement() -> None:
    assert len(lex_one("SELECT 1 ; -- done").pieces) == 1


@pytest.mark.parametrize("text", ["'a", '"a', "`a", "/* a", "'a\\'"])
def test_open_end_is_an_error(text: str) -> None:
    with pytest.raises(SqlSyntaxError, match="not closed") as caught:
        lex("\n " + text)
    assert (caught.value.details["line"], caught.value.details["column"]) == (2, 2)


@pytest.mark.parametrize("opened", ["(", "[", "CASE WHEN ", "ARRAY<", "struct <a:", "abs("])
def test_depth_is_bounded(opened: str) -> None:
    lex(opened * (MAX_DEPTH - 1))
    with pytest.raises(StatementTooDeepError):
        lex(opened * (MAX_DEPTH + 1))


@pytest.mark.parametrize("prefix", ["NOT ", "- ", "~"])
def test_runs_of_prefixes_are_bounded(prefix: str) -> None:
    with pytest.raises(StatementTooDeepError):
        lex("SELECT " + prefix * 10_000 + "1")


def test_depth_starts_anew_with_each_statement() -> None:
    assert len(lex(("(" * 50 + ")" * 49 + ";") * 3).pieces) == 3


def test_length_and_elements_are_bounded() -> None:
    with pytest.raises(StatementTooLargeError):
        lex("x" * (MAX_CHARACTERS + 1))
    with pytest.raises(StatementTooLargeError):
        lex("1," * 100_000)
