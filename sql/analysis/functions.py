"""Functions: names that no engine knows are refused with what was probably meant."""

from __future__ import annotations

from difflib import get_close_matches
from itertools import pairwise
from typing import Any

from sqlglot import exp
from sqlglot.tokenizer_core import TokenType

from sql.errors import FunctionNotFoundError
from sql.syntax.parse import Parsed
from sql.syntax.spark_functions import SPARK_FUNCTIONS


def check_functions(query: exp.Expr, parsed: Parsed) -> None:
    """Raise ``FunctionNotFoundError`` for a function that Spark does not have.

    What sqlglot has a class for, it has for a reason; so only calls that it knows no class for are
    looked up, by the name that was written.
    """
    for call in query.find_all(exp.Anonymous):
        name = call.name.lower()
        if name not in SPARK_FUNCTIONS:
            near = get_close_matches(name, SPARK_FUNCTIONS, n=1, cutoff=0.75)
            raise FunctionNotFoundError(
                f"there is no function {name}",
                hint=f"did you mean {near[0]}?" if near else None,
                function=name,
                **_place(name, parsed),
            )


def _place(name: str, parsed: Parsed) -> dict[str, Any]:
    """Where the first call of ``name`` stands; nodes of calls do not know it."""
    for token, behind in pairwise(parsed.tokens):
        if behind.token_type is TokenType.L_PAREN and token.text.lower() == name:
            place = parsed.place(token.start)
            return {"line": place.line, "column": place.column}
    return {}
