"""Point out a result of many rows that is sorted as a whole."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from sql.guard.api import Candidate, GuardRule
from sql.guard.limits import GuardLimits


def _check(candidate: Candidate, limits: GuardLimits) -> Iterator[str]:
    query, cost = candidate.bound.query, candidate.cost
    if query is None or cost is None or query.args.get("order") is None:
        return
    if query.args.get("limit") is None and (
        cost.rows.high is None or cost.rows.high > limits.order_rows
    ):
        yield "ORDER BY without LIMIT sorts the whole result, which has no small bound"


ORDER_WITHOUT_LIMIT: Final = GuardRule(code="order_without_limit", check=_check)
