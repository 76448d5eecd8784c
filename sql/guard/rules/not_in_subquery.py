"""Point out ``NOT IN (SELECT …)``: one NULL among its rows and nothing is found, and it is slow."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from sqlglot import exp

from sql.guard.api import Candidate, GuardRule
from sql.guard.limits import GuardLimits


def _check(candidate: Candidate, limits: GuardLimits) -> Iterator[str]:
    query = candidate.bound.query
    for negation in query.find_all(exp.Not) if query is not None else ():
        inner = negation.this.unnest()
        if isinstance(inner, exp.In) and inner.args.get("query") is not None:
            yield "NOT IN (SELECT …) gives no row if one of its values is NULL: use NOT EXISTS"
            return


NOT_IN_SUBQUERY: Final = GuardRule(code="not_in_subquery", check=_check)
