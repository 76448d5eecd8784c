"""A script as its statements, each of which knows where in the script it stands."""

from __future__ import annotations

from dataclasses import dataclass, replace

from dli.remote.problems import Problem
from sql.syntax.lexer import split_script
from sql.syntax.places import place
from storage.base.errors import InvalidInputError


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """One statement of ``whole``, which begins there at ``line`` and ``column``, from 1."""

    sql: str
    whole: str
    line: int = 1
    column: int = 1

    def placed(self, problem: Problem) -> Problem:
        """The problem with its place counted from the start of the script."""
        if problem.line is None:
            return problem
        column = problem.column
        if column is not None and problem.line == 1:
            column += self.column - 1
        return replace(problem, line=problem.line + self.line - 1, column=column)


def split(text: str) -> list[Piece]:
    """The statements of a script; a text that cannot be split is one piece, for the service to
    say what is wrong with it."""
    try:
        parts = split_script(text)
    except InvalidInputError:
        return [Piece(sql=text, whole=text)]
    if len(parts) < 2:
        return [Piece(sql=text, whole=text)]
    pieces, after = [], 0
    for part in parts:
        start = text.index(part.sql, after)
        after = start + len(part.sql)
        where = place(text, start)
        pieces.append(Piece(sql=part.sql, whole=text, line=where.line, column=where.column))
    return pieces
