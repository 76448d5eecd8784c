"""Point out joins by ``<``, LIKE or OR alone: every row of one side is compared with the other."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from sql.guard.api import Candidate, GuardRule
from sql.guard.connected import unconnected
from sql.guard.limits import GuardLimits


def _check(candidate: Candidate, limits: GuardLimits) -> Iterator[str]:
    tree = candidate.bound.scan_tree
    found = {
        f"{pair.left} and {pair.right} are joined, but not by an equality: this may take long": 0
        for pair in (unconnected(tree) if tree is not None else ())
        if pair.related
    }
    yield from found


NON_EQUI_JOIN: Final = GuardRule(code="non_equi_join", check=_check)
