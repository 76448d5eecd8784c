"""One pass over a text before any parser sees it: where statements end, and how deep they nest.

The parser is a compiled recursive descent: text that nests too deep ends the process, not the call,
so the bounds are checked here, in time linear in the text. The pass also gives the parser a cleaned
text *of the same length*, so that every place in it is a place in the original:

- comments and hints become blanks, so none of them reaches an engine;
- a quote that is written twice in a string becomes a backslash and a quote: ``'it''s'`` is ``it's``
  in Spark 4, while sqlglot reads two strings side by side, and Sail loses the quote.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from sql.errors import (
    EmptyStatementError,
    SeveralStatementsError,
    SqlSyntaxError,
    StatementTooDeepError,
    StatementTooLargeError,
)
from sql.syntax.places import place

#: Bounds from COST.md § 8; each was measured to keep a parse below about a second.
MAX_CHARACTERS = 1_000_000
MAX_DEPTH = 60
MAX_SEPARATORS = 30_000
MAX_STATEMENTS = 10_000

_TOKEN = re.compile(
    r"""
      (?P<raw>\b[rR](?:'[^']*+'|"[^"]*+"))
    | (?P<single>'(?>[^'\\]++|\\.|'')*+')
    | (?P<double>"(?>[^"\\]++|\\.|"")*+")
    | (?P<name>`(?>[^`]++|``)*+`)
    | (?P<line>--[^\r\n]*+)
    | (?P<block>/\*)
    | (?P<broken>['"`])
    | (?P<run>(?:\bNOT\b\s*+){60}|(?:[-+~!]\s*+){60})
    | (?P<type>\b(?:ARRAY|MAP|STRUCT)\s*+<)
    | (?P<open>[(\[{]|\bCASE\b)
    | (?P<close>[)\]}]|\bEND\b)
    | (?P<angle>>)
    | (?P<end>;)
    | (?P<separator>,|\b(?:AND|OR|UNION|EXCEPT|INTERSECT|JOIN|WHEN)\b|\|\||[-+*/%|&^])
    """,
    re.VERBOSE | re.DOTALL | re.IGNORECASE,
)
_COMMENT_EDGE = re.compile(r"/\*|\*/")
_NOT_NEWLINE = re.compile(r"[^\r\n]")


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """One statement of a script: ``text[start:end]`` without the semicolon."""

    start: int
    end: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Lexed:
    """A text, the same text made safe for the parser, and its statements (never an empty one)."""

    text: str
    clean: str
    pieces: tuple[Piece, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ScriptPart:
    """One statement of a script as it was written, and the line it starts on, from 1."""

    sql: str
    line: int


def lex(text: str) -> Lexed:
    """Check the bounds, clean the text and find the statements in it.

    Raises ``StatementTooLargeError``, ``StatementTooDeepError``, and ``SqlSyntaxError`` for a
    string, a quoted name or a comment that is not closed.
    """
    if len(text) > MAX_CHARACTERS:
        raise StatementTooLargeError(
            f"the text has {len(text)} characters, {MAX_CHARACTERS} are read",
            hint="put long lists into a table and join with it",
        )
    return _Pass(text).lexed()


def split_script(text: str) -> tuple[ScriptPart, ...]:
    """The statements of ``text`` in order, without semicolons, comments kept. May be empty."""
    return tuple(
        ScriptPart(sql=text[piece.start : piece.end], line=place(text, piece.start).line)
        for piece in lex(text).pieces
    )


def lex_one(text: str) -> Lexed:
    """As ``lex``, for a text that must hold exactly one statement."""
    lexed = lex(text)
    if not lexed.pieces:
        raise EmptyStatementError("there is no statement in the text", line=1, column=1)
    if len(lexed.pieces) > 1:
        where = place(text, lexed.pieces[1].start)
        raise SeveralStatementsError(
            f"the text holds {len(lexed.pieces)} statements",
            hint="send one statement a request; `dli sql -f` splits a script",
            line=where.line,
            column=where.column,
        )
    return lexed


class _Pass:
    """The state of one pass. Lives for one call of ``lex``."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._parts: list[str] = []
        self._copied = 0
        self._depth = 0
        self._types = 0
        self._separators = 0
        self._start: int | None = None  #: of the statement that is being read
        self._end = 0  #: behind its last token
        self._seen = 0  #: behind the last match
        self._pieces: list[Piece] = []

    def lexed(self) -> Lexed:
        for kind, start, end in self._tokens():
            if kind == "end":
                self._finish()
                continue
            if self._start is None:
                self._start = start
            self._end = end
        self._finish()
        self._parts.append(self._text[self._copied :])
        return Lexed(text=self._text, clean="".join(self._parts), pieces=tuple(self._pieces))

    def _finish(self) -> None:
        if self._start is not None:
            self._pieces.append(Piece(start=self._start, end=self._end))
            if len(self._pieces) > MAX_STATEMENTS:
                raise StatementTooLargeError(f"more than {MAX_STATEMENTS} statements in one text")
        self._start, self._depth, self._types, self._separators = None, 0, 0, 0

    def _tokens(self) -> Iterator[tuple[str, int, int]]:
        """Kind and span of all that is no blank or comment; what no pattern takes is "other"."""
        text, position = self._text, 0
        while (match := _TOKEN.search(text, position)) is not None:
            start, position, kind = match.start(), match.end(), match.lastgroup or ""
            if text[self._seen : start].strip():
                yield self._between(start)
            if kind == "block":
                position = self._comment_end(start)
            if kind in ("line", "block"):
                self._replace(start, position, _NOT_NEWLINE.sub(" ", text[start:position]))
            else:
                self._check(kind, start)
                if kind in ("single", "double"):
                    self._escape(start, position)
                yield kind, start, position
            self._seen = position
        if text[self._seen :].strip():
            yield self._between(len(text))

    def _between(self, end: int) -> tuple[str, int, int]:
        """Characters that no pattern takes, without the blanks around them."""
        gap = self._text[self._seen : end]
        start = self._seen + len(gap) - len(gap.lstrip())
        return "other", start, self._seen + len(gap.rstrip())

    def _check(self, kind: str, start: int) -> None:
        match kind:
            case "open":
                self._depth += 1
            case "type":
                self._types += 1
            case "close":
                self._depth = max(self._depth - 1, 0)
            case "angle":
                self._types = max(self._types - 1, 0)
            case "separator":
                self._separators += 1
            case "broken":
                what = "quoted name" if self._text[start] == "`" else "string"
                raise self._at(SqlSyntaxError, f"this {what} is not closed", start)
        if self._depth + self._types > MAX_DEPTH or kind == "run":
            raise self._at(
                StatementTooDeepError,
                f"the statement nests deeper than {MAX_DEPTH} levels",
                start,
                hint="split it by WITH, or by a view",
            )
        if self._separators > MAX_SEPARATORS:
            raise StatementTooLargeError(
                f"the statement has more than {MAX_SEPARATORS} elements",
                hint="put long lists into a table and join with it",
            )

    def _comment_end(self, start: int) -> int:
        """Behind the comment that opens at ``start``; such comments nest in Spark."""
        depth = 0
        for edge in _COMMENT_EDGE.finditer(self._text, start):
            depth += 1 if edge[0] == "/*" else -1
            if depth == 0:
                return edge.end()
        raise self._at(SqlSyntaxError, "this comment is not closed", start)

    def _escape(self, start: int, end: int) -> None:
        """Write a quote that is doubled in the string as an escaped one."""
        quote, body = self._text[start], self._text[start + 1 : end - 1]
        if quote in body:
            mended = re.sub(
                rf"\\.|{quote}{quote}", lambda m: _mend(m[0], quote), body, flags=re.DOTALL
            )
            self._replace(start + 1, end - 1, mended)

    def _replace(self, start: int, end: int, text: str) -> None:
        self._parts += [self._text[self._copied : start], text]
        self._copied = end

    def _at(
        self, kind: type[SqlSyntaxError | StatementTooDeepError], message: str, offset: int,
        hint: str | None = None,
    ) -> SqlSyntaxError | StatementTooDeepError:  # fmt: skip
        where = place(self._text, offset)
        return kind(message, hint=hint, line=where.line, column=where.column)


def _mend(matched: str, quote: str) -> str:
    return matched if matched[0] == "\\" else f"\\{quote}"
