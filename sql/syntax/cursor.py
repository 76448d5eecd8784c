"""Reading a short statement word by word, for those that have no useful tree in sqlglot."""

from __future__ import annotations

from typing import NoReturn

from sqlglot.tokenizer_core import TokenType

from sql.errors import SqlSyntaxError
from sql.statement import TableName
from sql.syntax.parse import Parsed

_NAMES = frozenset({TokenType.VAR, TokenType.IDENTIFIER})
_STRINGS = frozenset({TokenType.STRING, TokenType.RAW_STRING})


class Cursor:
    """A place in the tokens of one statement; each method that takes moves behind what it took."""

    def __init__(self, parsed: Parsed) -> None:
        self._parsed = parsed
        self._tokens = parsed.tokens
        self._next = 0

    def take(self, *words: str) -> bool:
        """Whether these words come next; they are taken if so."""
        coming = self._tokens[self._next : self._next + len(words)]
        if tuple(token.text.upper() for token in coming) != words or any(
            token.token_type in _STRINGS or token.token_type is TokenType.IDENTIFIER
            for token in coming
        ):
            return False
        self._next += len(words)
        return True

    def take_any(self, *words: str) -> str | None:
        """The one of ``words`` that comes next."""
        return next((word for word in words if self.take(word)), None)

    def expect(self, *words: str) -> None:
        """Take these words. Raises ``SqlSyntaxError`` where others stand."""
        if not self.take(*words):
            self.fail(f"{' '.join(words)} is expected here")

    def name(self) -> str:
        """A name of one part, in lower case."""
        token = self._tokens[self._next] if self._next < len(self._tokens) else None
        if (
            token is None
            or token.token_type in _STRINGS
            or not _is_name(token.token_type, token.text)
        ):
            self.fail("a name is expected here")
        self._next += 1
        return token.text.lower()

    def table(self, database: str) -> TableName:
        """A name of one or two parts; ``database`` is that of a single one."""
        first = self.name()
        if not self.take("."):
            return TableName(database=database.lower(), name=first)
        second = self.name()
        if self.take("."):
            self.fail("a name has two parts at most: database.table")
        return TableName(database=first, name=second)

    def string(self) -> str:
        """A text in quotes, without them."""
        token = self._tokens[self._next] if self._next < len(self._tokens) else None
        if token is None or token.token_type not in _STRINGS:
            self.fail("a text in quotes is expected here")
        self._next += 1
        return token.text

    def at_string(self) -> bool:
        """Whether a text in quotes comes next."""
        return self._next < len(self._tokens) and (self._tokens[self._next].token_type in _STRINGS)

    def at_end(self) -> bool:
        """Whether everything is taken."""
        return self._next >= len(self._tokens)

    def end(self) -> None:
        """Raises ``SqlSyntaxError`` if something is left."""
        if not self.at_end():
            self.fail(f"{self._tokens[self._next].text!r} fits not here")

    def fail(self, message: str) -> NoReturn:
        """Raise ``SqlSyntaxError`` at this place."""
        if self._next < len(self._tokens):
            place = self._parsed.place(self._tokens[self._next].start)
        else:
            place = self._parsed.place(self._tokens[-1].end + 1 if self._tokens else 0)
        raise SqlSyntaxError(message, line=place.line, column=place.column)


def _is_name(kind: TokenType, text: str) -> bool:
    return kind in _NAMES or text.replace("_", "a").isalnum()
