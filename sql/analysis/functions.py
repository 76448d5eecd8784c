"""Functions: names that no engine knows are refused with what was probably meant."""

from __future__ import annotations

from difflib import get_close_matches

from sqlglot import exp

from sql.analysis.names import where
from sql.analysis.spark_functions import SPARK_FUNCTIONS
from sql.errors import FunctionNotFoundError


def check_functions(query: exp.Expr, text: str) -> None:
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
                **where(call, text),
            )
