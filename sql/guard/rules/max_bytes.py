"""Refuse what would process more bytes than the queue or the request allows."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from sql.guard.api import Candidate, GuardRule
from sql.guard.limits import GuardLimits
from sql.statement import FindingLevel
from storage.base.quantities import format_size


def _check(candidate: Candidate, limits: GuardLimits) -> Iterator[str]:
    if candidate.cost is None or limits.max_bytes is None:
        return
    size = candidate.cost.bytes_processed
    if size > limits.max_bytes:
        yield (
            f"it would process {format_size(size)} ({size} bytes), and"
            f" {format_size(limits.max_bytes)} ({limits.max_bytes} bytes) is the limit"
        )


#: Fixed: a limit that is set holds, whoever set it; without one there is nothing to find.
MAX_BYTES: Final = GuardRule(code="max_bytes", check=_check, level=FindingLevel.REFUSE, fixed=True)
