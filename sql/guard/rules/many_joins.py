"""Point out statements of very many joins, with views and WITH written out."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from sqlglot import exp

from sql.guard.api import Candidate, GuardRule
from sql.guard.limits import GuardLimits


def _check(candidate: Candidate, limits: GuardLimits) -> Iterator[str]:
    tree = candidate.bound.scan_tree
    count = sum(1 for _ in tree.find_all(exp.Join)) if tree is not None else 0
    if count > limits.joins:
        yield f"{count} joins, more than {limits.joins}"


MANY_JOINS: Final = GuardRule(code="many_joins", check=_check)
