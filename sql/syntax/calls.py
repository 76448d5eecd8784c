"""Calls that the parser shall not read into classes of its own.

sqlglot knows the functions of every system, and its own classes by name as well. What Spark does
not have would be printed as something else: ``truncate(x, 1)`` as a cast to bigint, and
``anonymous_agg_func('f', x)`` as a call of ``f`` that no rule had seen. So such names are marked in
the tokens, which makes them calls that the parser does not know; the tree has them as written.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from itertools import pairwise
from typing import Final

from sqlglot import exp
from sqlglot.tokenizer_core import Token, TokenType

from sql.syntax.dialect import DIALECT
from sql.syntax.spark_functions import SPARK_FUNCTIONS

_PARSER: Final = DIALECT.parser_class
#: Of Spark's grammar, though not in its list of functions.
_GRAMMAR: Final = frozenset({"timestampadd", "timestampdiff", "try_cast"})
#: Names that the parser knows and Spark does not.
FOREIGN: Final = (
    frozenset(name.lower() for name in (*_PARSER.FUNCTIONS, *_PARSER.FUNCTION_PARSERS))
    - SPARK_FUNCTIONS
    - _GRAMMAR
)

_MARK: Final = "\x1f"


def mark(tokens: Sequence[Token], verbatim: Collection[str] = ()) -> list[Token]:
    """``tokens`` in which calls of ``FOREIGN`` and ``verbatim`` have names that nobody knows.

    A name in back quotes counts for ``FOREIGN`` only.
    """
    marked = [_marked(token, behind, verbatim) for token, behind in pairwise(tokens)]
    return [*marked, *tokens[-1:]]


def unmark(tree: exp.Expr) -> None:
    """Give every name in ``tree`` back as it was written."""
    for node in tree.walk():
        if isinstance(node, exp.Anonymous | exp.Identifier) and isinstance(node.this, str):
            node.set("this", node.this.removesuffix(_MARK))


def _marked(token: Token, behind: Token, verbatim: Collection[str]) -> Token:
    if behind.token_type is not TokenType.L_PAREN or token.token_type is TokenType.STRING:
        return token
    name, quoted = token.text.lower(), token.token_type is TokenType.IDENTIFIER
    if name not in FOREIGN and (quoted or name not in verbatim):
        return token
    kind = TokenType.IDENTIFIER if quoted else TokenType.VAR
    return Token(kind, token.text + _MARK, token.line, token.col, token.start, token.end)
