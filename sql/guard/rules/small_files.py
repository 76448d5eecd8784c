"""Point out tables of so many small files that opening them takes longer than reading them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from sql.guard.api import Candidate, GuardRule
from sql.guard.limits import GuardLimits
from storage.base.quantities import format_size


def _check(candidate: Candidate, limits: GuardLimits) -> Iterator[str]:
    relations = {str(name): relation for name, relation in candidate.bound.relations.items()}
    for use in candidate.cost.tables if candidate.cost is not None else ():
        snapshot = relations[use.name].snapshot
        if use.files_kept <= limits.small_files or snapshot is None:
            continue
        mean = snapshot.size // max(use.files, 1)
        if mean < limits.file_bytes:
            yield f"{use.files_kept} files of {use.name} are opened, of {format_size(mean)} each"


SMALL_FILES: Final = GuardRule(code="small_files", check=_check)
