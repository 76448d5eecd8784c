"""What holds uploaded files: living jobs, and what will submit jobs that name them.

A file is named by its hash: as such, or within an address of ours. So every such hash in a text
counts; that of something else holds nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime
from typing import Any

from sqlalchemy import or_, select

from jobs.lifecycle.states import TERMINAL
from jobs.pipelines.rows import pipeline_revisions as revisions
from jobs.pipelines.rows import pipelines
from jobs.schedules.rows import schedules
from jobs.store.rows import jobs
from jobs.triggers.rows import triggers
from storage.meta.database import Tx

_HASH = re.compile(r"(?<![0-9a-f])[0-9a-f]{64}(?![0-9a-f])")


def held_files(tx: Tx, deleted_after: datetime) -> frozenset[tuple[str, str]]:
    """(project, hash) of files that may be needed yet, and of some that are none.

    Each revision of a pipeline holds its own, since runs may be of it and a rollback may go back to
    it; of one that was taken out of force only ``deleted_after`` that moment, for its last runs.
    """
    ended = [state.value for state in TERMINAL]
    in_force = or_(pipelines.c.deleted_at.is_(None), pipelines.c.deleted_at > deleted_after)
    named = (pipelines.c.project_id == revisions.c.project_id) & (
        pipelines.c.name == revisions.c.name
    )
    queries = (
        select(jobs.c.project_id, jobs.c.spec).where(jobs.c.state.not_in(ended)),
        select(schedules.c.project_id, schedules.c.document),
        select(triggers.c.project_id, triggers.c.document),
        select(revisions.c.project_id, revisions.c.text).join(pipelines, named).where(in_force),
    )
    return frozenset(
        (project_id, sha256)
        for query in queries
        for project_id, value in tx.execute(query)
        for sha256 in _hashes(value)
    )


def _hashes(value: Any) -> Iterator[str]:
    match value:
        case str():
            yield from _HASH.findall(value)
        case dict():
            yield from _hashes(list(value.values()))
        case list():
            for each in value:
                yield from _hashes(each)
