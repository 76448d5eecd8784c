"""Point out several different ``count(DISTINCT …)`` side by side: each multiplies the rows."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from sqlglot import exp

from sql.guard.api import Candidate, GuardRule
from sql.guard.limits import GuardLimits

_ALLOWED = 2


def _check(candidate: Candidate, limits: GuardLimits) -> Iterator[str]:
    query = candidate.bound.query
    by_select: dict[int, set[str]] = {}
    for distinct in query.find_all(exp.Distinct) if query is not None else ():
        if isinstance(distinct.parent, exp.AggFunc):
            select = distinct.find_ancestor(exp.Select)
            by_select.setdefault(id(select), set()).add(distinct.sql().lower())
    most = max(map(len, by_select.values()), default=0)
    if most > _ALLOWED:
        yield f"{most} different DISTINCT aggregates in one SELECT multiply its rows {most} times"


MANY_DISTINCTS: Final = GuardRule(code="many_distincts", check=_check)
