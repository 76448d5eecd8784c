"""The one SQL dialect that is spoken here, to users and to engines."""

from __future__ import annotations

from typing import Final

from sqlglot import exp
from sqlglot.dialects.dialect import Dialect
from sqlglot.errors import SqlglotError

DIALECT_NAME: Final = "spark"
DIALECT: Final = Dialect.get_or_raise(DIALECT_NAME)

#: What sqlglot raises for input that it does not expect; found by calling every Spark function with
#: every number of arguments, not only what it documents.
FOREIGN_ERRORS: Final = (
    SqlglotError,
    ValueError,
    LookupError,
    TypeError,
    AttributeError,
    AssertionError,
    NotImplementedError,
)


def render(tree: exp.Expr, *, copy: bool = True, functions: str = "upper") -> str:
    """``tree`` as SQL, without comments; quotes in strings come out as backslash escapes.

    Printing changes the tree, unless it is copied before. Names of functions are written in
    ``functions`` case.
    """
    # Not Generator.generate: for Spark it moves every WITH to the top, where names may collide.
    generator = DIALECT.generator(comments=False, normalize_functions=functions)
    return generator.sql(tree.copy() if copy else tree).strip()
