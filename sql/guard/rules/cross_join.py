"""Point out joins that multiply their sides: nothing at all relates them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from sql.guard.api import Candidate, GuardRule
from sql.guard.connected import unconnected
from sql.guard.limits import GuardLimits


def _check(candidate: Candidate, limits: GuardLimits) -> Iterator[str]:
    tree = candidate.bound.scan_tree
    found = {
        f"{pair.left} and {pair.right} are joined without a condition: every row with every row": 0
        for pair in (unconnected(tree) if tree is not None else ())
        if not pair.related
    }
    yield from found


CROSS_JOIN: Final = GuardRule(code="cross_join", check=_check)
