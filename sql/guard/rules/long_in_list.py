"""Point out an IN of very many values, which belongs into a table."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from sqlglot import exp

from sql.guard.api import Candidate, GuardRule
from sql.guard.limits import GuardLimits


def _check(candidate: Candidate, limits: GuardLimits) -> Iterator[str]:
    query = candidate.bound.query
    lists = query.find_all(exp.In) if query is not None else ()
    longest = max((len(item.expressions) for item in lists), default=0)
    if longest > limits.in_list:
        yield f"IN with {longest} values, more than {limits.in_list}: join a table of them"


LONG_IN_LIST: Final = GuardRule(code="long_in_list", check=_check)
