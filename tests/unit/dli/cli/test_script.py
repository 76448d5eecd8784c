from __future__ import annotations

from dli.cli.script import split
from dli.remote.problems import Problem


def test_one_statement_is_sent_as_it_is() -> None:
    text = "-- first\nSELECT ';' AS x;\n"
    (piece,) = split(text)
    assert piece.sql == text
    assert piece.placed(problem(line=2, column=5)) == problem(line=2, column=5)


def test_statements_know_their_places() -> None:
    pieces = split("SELECT 1; SELECT 1;\n\n  SELECT\n2")
    assert [(piece.sql, piece.line, piece.column) for piece in pieces] == [
        ("SELECT 1", 1, 1),
        ("SELECT 1", 1, 11),
        ("SELECT\n2", 3, 3),
    ]


def test_place_is_counted_from_the_start_of_the_script() -> None:
    piece = split("SELECT 1;\n  SELECT\n2")[1]
    assert piece.placed(problem(line=1, column=4)) == problem(line=2, column=6)
    assert piece.placed(problem(line=2, column=1)) == problem(line=3, column=1)
    assert piece.placed(problem(line=None, column=None)) == problem(line=None, column=None)


def test_text_that_cannot_be_split_is_left_to_the_service() -> None:
    text = "SELECT 'open; SELECT 2"
    assert [piece.sql for piece in split(text)] == [text]


def problem(*, line: int | None, column: int | None) -> Problem:
    return Problem(code="x", message="y", line=line, column=column)
