"""The one SQL dialect that is spoken here, to users and to engines."""

from __future__ import annotations

from typing import Final

from sqlglot import exp
from sqlglot.dialects.dialect import Dialect

DIALECT_NAME: Final = "spark"
DIALECT: Final = Dialect.get_or_raise(DIALECT_NAME)


def render(tree: exp.Expr) -> str:
    """``tree`` as SQL, without comments; quotes in strings come out as backslash escapes."""
    return tree.sql(dialect=DIALECT_NAME, comments=False)
