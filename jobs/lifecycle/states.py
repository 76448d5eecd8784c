"""The states of a job. Which step may follow which is in ``machine``."""

from __future__ import annotations

from enum import StrEnum


class JobState(StrEnum):
    """Where a job is. ``starting`` waits for its engine, ``publishing`` shows its result."""

    QUEUED = "queued"
    STARTING = "starting"
    RUNNING = "running"
    PUBLISHING = "publishing"
    CANCELLING = "cancelling"
    FINISHED = "finished"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def terminal(self) -> bool:
        """Whether nothing can happen any more."""
        return self in TERMINAL

    @property
    def owned(self) -> bool:
        """Whether a replica holds a lease on the job in this state."""
        return self in OWNED


TERMINAL = frozenset({JobState.FINISHED, JobState.FAILED, JobState.CANCELLED})
OWNED = frozenset({JobState.STARTING, JobState.RUNNING, JobState.PUBLISHING, JobState.CANCELLING})
