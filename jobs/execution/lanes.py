"""Lanes: jobs of one compete for the same seats, those of others have seats of their own.

Many short jobs shall not wait for a few long ones. And a pipeline run keeps its seat while it waits
for the runs within it: if they competed for the same seats, all could be held by runs that wait for
one. So the runs of each depth have a lane.
"""

from __future__ import annotations

from typing import NamedTuple

from jobs.lifecycle.spec import JobKind

DEEPEST = 8  #: pipelines that run each other


class Lane(NamedTuple):
    """Jobs of this ``work``, of pipeline runs those that are within ``depth`` others."""

    work: str
    depth: int = 0

    def __str__(self) -> str:
        return f"{self.work}-{self.depth}" if self.depth else self.work


STATEMENTS = Lane("statements")
RUNS = Lane("runs")  #: batches and tasks
PIPELINES = tuple(Lane("pipelines", depth) for depth in range(DEEPEST))  #: by their depth
LANES = (STATEMENTS, RUNS, *PIPELINES)


def lane_of(kind: JobKind, depth: int = 0) -> Lane:
    """Whose seats such a job takes; ``depth`` is that of a pipeline run, below ``DEEPEST``."""
    match kind:
        case JobKind.STATEMENT:
            return STATEMENTS
        case JobKind.BATCH | JobKind.TASK:
            return RUNS
        case JobKind.PIPELINE:
            return PIPELINES[depth]
