"""Point out a read of all partitions of a partitioned table.

It asks what pruning left, not whether the column is mentioned: ``year >= 1900`` over tables that
begin in 1992 reads everything, and is found.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from sql.guard.api import Candidate, GuardRule
from sql.guard.limits import GuardLimits


def _check(candidate: Candidate, limits: GuardLimits) -> Iterator[str]:
    relations = {str(name): relation for name, relation in candidate.bound.relations.items()}
    for use in candidate.cost.tables if candidate.cost is not None else ():
        if use.partitions is None or use.partitions < 2 or use.partitions_kept != use.partitions:
            continue
        if use.bytes:
            columns = ", ".join(relations[use.name].definition.partitioned_by)
            yield (
                f"all {use.partitions} partitions of {use.name} are read:"
                f" a filter on {columns} by constants would leave some out"
            )


NO_PARTITION_FILTER: Final = GuardRule(code="no_partition_filter", check=_check)
