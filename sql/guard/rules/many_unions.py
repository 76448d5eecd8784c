"""Point out statements of very many UNIONs, with views and WITH written out."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from sqlglot import exp

from sql.guard.api import Candidate, GuardRule
from sql.guard.limits import GuardLimits


def _check(candidate: Candidate, limits: GuardLimits) -> Iterator[str]:
    tree = candidate.bound.scan_tree
    count = sum(1 for _ in tree.find_all(exp.SetOperation)) if tree is not None else 0
    if count > limits.unions:
        yield f"{count} set operations, more than {limits.unions}"


MANY_UNIONS: Final = GuardRule(code="many_unions", check=_check)
