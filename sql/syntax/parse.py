"""Text to tree: the only place that calls sqlglot's parser on what a person wrote.

SHOW, DESCRIBE, CREATE/DROP DATABASE and DROP have no useful tree in sqlglot; they are read from the
tokens by ``sql.ddl``. EXPLAIN is taken off the front, what it explains is parsed as ever.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from operator import is_not
from typing import NoReturn

from sqlglot import exp
from sqlglot.errors import ParseError, TokenError
from sqlglot.tokenizer_core import Token, TokenType

from sql.errors import SqlSyntaxError, StatementTooDeepError, UnsupportedStatementError
from sql.statement import ExplainLevel, StatementKind
from sql.syntax.calls import mark, unmark
from sql.syntax.dialect import DIALECT, FOREIGN_ERRORS
from sql.syntax.kinds import WORD, first_words, kind_of_tree, refuse_words, words_kind
from sql.syntax.lexer import lex_one
from sql.syntax.places import Place, place

#: Nodes that the parser makes at most; a hundred thousand literals take it about a second.
MAX_NODES = 150_000

_STARTS = (
    "SELECT", "WITH", "FROM", "VALUES", "INSERT", "CREATE", "DROP", "SHOW", "DESCRIBE", "EXPLAIN",
)  # fmt: skip
_KEYWORDS = (
    *_STARTS, "WHERE", "GROUP", "ORDER", "HAVING", "LIMIT", "UNION", "EXCEPT", "INTERSECT", "JOIN",
    "LEFT", "RIGHT", "FULL", "INNER", "OUTER", "CROSS", "USING", "DISTINCT", "BETWEEN", "LIKE",
    "CASE", "WHEN", "THEN", "ELSE", "TABLE", "VIEW", "DATABASE", "INTO", "OVERWRITE", "LOCATION",
    "PARTITIONED", "OPTIONS", "LATERAL", "OVER", "PARTITION", "OFFSET",
)  # fmt: skip
_LITERALS = frozenset({TokenType.STRING, TokenType.NUMBER, TokenType.RAW_STRING})


@dataclass(frozen=True, slots=True, kw_only=True)
class Parsed:
    """One statement, read but not understood.

    ``clean`` has the length of ``text``, so places in one are places in the other. ``tokens`` are
    those of the statement itself, without the words of EXPLAIN and without SHOW. ``tree`` is None
    for the kinds that are read from their tokens. In the tree, the n-th positional parameter is a
    placeholder of the name ``positional(n)``, n from 0.
    """

    text: str
    clean: str
    tokens: tuple[Token, ...]
    kind: StatementKind  #: of what is explained, for EXPLAIN
    explain: ExplainLevel | None
    tree: exp.Expr | None
    fingerprint: str

    def place(self, offset: int) -> Place:
        """Line and column of the character at ``offset``."""
        return place(self.text, offset)


def positional(index: int) -> str:
    """The inner name of the positional parameter number ``index``, which nobody can write."""
    return f"?{index}"


def parse(text: str) -> Parsed:
    """Read exactly one statement.

    Raises ``SqlSyntaxError`` and its kin with line and column, ``UnsupportedStatementError`` for
    statements that are not on the list of what is served.
    """
    lexed = lex_one(text)
    start = lexed.pieces[0].start
    explain, start = _explain_level(lexed.clean, start)
    kind = words_kind(first_words(lexed.clean, start))
    if kind is None:
        refuse_words(first_words(lexed.clean, start))
    if kind is StatementKind.SHOW:
        start = _behind(lexed.clean, start, 1)  # the tokenizer takes all behind SHOW for one string
    tokens = _tokenize(lexed.clean, start, lexed.pieces[0].end)
    tree: exp.Expr | None = None
    if kind is None:
        tree = parse_tokens(text, lexed.clean, tokens)
        kind = kind_of_tree(tree)
    if explain is not None and not kind.computes:
        raise UnsupportedStatementError(
            f"EXPLAIN of {kind.value.upper().replace('_', ' ')} is not supported",
            hint="queries, INSERT and CREATE TABLE … AS can be explained",
        )
    return Parsed(
        text=text,
        clean=lexed.clean,
        tokens=tuple(tokens),
        kind=kind,
        explain=explain,
        tree=tree,
        fingerprint=_fingerprint(tokens),
    )


def _explain_level(clean: str, start: int) -> tuple[ExplainLevel | None, int]:
    """The level of an EXPLAIN in front, and where what it explains begins."""
    words = first_words(clean, start)
    if words[:1] != ("EXPLAIN",):
        return None, start
    level = words[1] if len(words) > 1 else ""
    if level in {"CODEGEN", "ANALYZE"}:
        raise UnsupportedStatementError(f"EXPLAIN {level} is not supported")
    if level in {"EXTENDED", "FORMATTED", "COST"}:
        return ExplainLevel[level], _behind(clean, start, 2)
    return ExplainLevel.SIMPLE, _behind(clean, start, 1)


def _behind(clean: str, start: int, words: int) -> int:
    """The offset behind that many words; ``start`` is at the first of them."""
    for _ in range(words):
        match = WORD.match(clean, start)
        start = match.end() if match else start
    return start


def _tokenize(clean: str, start: int, end: int) -> list[Token]:
    """The tokens of ``clean[start:end]``, with places in ``clean``."""
    before = re.sub(r"[^\r\n]", " ", clean[:start])
    try:
        tokens = DIALECT.tokenize(before + clean[start:end])
    except TokenError as error:
        raise SqlSyntaxError("the text cannot be read as SQL", line=1, column=1) from error
    if not tokens:
        raise SqlSyntaxError("the statement ends too early", line=1, column=end + 1)
    return _name_positionals(tokens)


def _name_positionals(tokens: list[Token]) -> list[Token]:
    """Give each ``?`` a name, since their order in a tree is not that of the text."""
    if not any(token.token_type is TokenType.PLACEHOLDER for token in tokens):
        return tokens
    named: list[Token] = []
    count = 0
    for token in tokens:
        if token.token_type is TokenType.PLACEHOLDER:
            place_ = (token.line, token.col, token.start, token.end)
            named.append(Token(TokenType.COLON, ":", *place_))
            named.append(Token(TokenType.VAR, positional(count), *place_))
            count += 1
        else:
            named.append(token)
    return named


def parse_tokens(
    text: str, clean: str, tokens: Sequence[Token], verbatim: Collection[str] = ()
) -> exp.Expr:
    """The tree of one statement from its tokens; errors have their places in ``text``.

    Calls of functions that Spark does not have, or that are named in ``verbatim``, stay as written.
    """
    marked = mark(tokens, verbatim)
    try:
        trees = DIALECT.parser(max_nodes=MAX_NODES).parse(marked, clean)
    except ParseError as error:
        _raise_syntax(text, tokens, error)
    except RecursionError as error:
        raise StatementTooDeepError("the statement nests too deep to be read") from error
    except FOREIGN_ERRORS as error:
        raise SqlSyntaxError("the text cannot be read as SQL", line=1, column=1) from error
    found = [tree for tree in trees if tree is not None]
    if len(found) != 1:
        first = place(text, tokens[0].start) if tokens else Place(1, 1)
        raise SqlSyntaxError("this is no statement", line=first.line, column=first.column)
    if any(map(is_not, marked, tokens)):
        unmark(found[0])
    return found[0]


def _raise_syntax(text: str, tokens: Sequence[Token], error: ParseError) -> NoReturn:
    """Tell what stands in the way and what was meant, in the author's own places."""
    told = error.errors[0] if error.errors else {}
    if "Maximum number of AST nodes" in str(error):
        raise StatementTooDeepError(
            f"the statement has more than {MAX_NODES} parts",
            hint="put long lists into a table and join with it",
        ) from error
    index = next(
        (
            index
            for index, token in enumerate(tokens)
            if token.line == told.get("line") and token.col == told.get("col")
        ),
        len(tokens) - 1,
    )
    # sqlglot points at the last token that it took when the text just ends
    ended = index == len(tokens) - 1 and not str(told.get("description", "")).startswith("Invalid")
    offset = tokens[index].end + 1 if ended else tokens[index].start
    where = place(text, offset)
    near = tokens[index].text
    message = (
        f"the statement ends too early, behind {near!r}" if ended else f"{near!r} fits not here"
    )
    raise SqlSyntaxError(
        message, hint=_suggest(tokens, index), line=where.line, column=where.column
    ) from error


def _suggest(tokens: Sequence[Token], index: int) -> str | None:
    """A keyword that a word at or just before the place may have been meant to be."""
    first = tokens[0].text.upper()
    if first not in _KEYWORDS:
        near = get_close_matches(first, _STARTS, n=1, cutoff=0.6)
        if near:
            return f"did you mean {near[0]}?"
    for token in reversed(tokens[max(index - 2, 0) : index + 1]):
        word = token.text.upper()
        if token.token_type is not TokenType.VAR or word in _KEYWORDS:
            continue
        near = get_close_matches(word, _KEYWORDS, n=1, cutoff=0.7)
        if near:
            return f"did you mean {near[0]}?"
    return None


def _fingerprint(tokens: Sequence[Token]) -> str:
    """Equal for statements that differ in literals, case and white space only."""
    words = (
        "?" if token.token_type in _LITERALS else f"{token.token_type.name} {token.text.lower()}"
        for token in tokens
    )
    return hashlib.sha256("\n".join(words).encode()).hexdigest()[:32]
