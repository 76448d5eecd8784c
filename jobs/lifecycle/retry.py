"""Whether a failed attempt is followed by another, as a value."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from jobs.lifecycle.events import Fault
from jobs.lifecycle.job import Job


@dataclass(frozen=True, slots=True, kw_only=True)
class Backoff:
    """The pause before the second attempt; it doubles with each further one."""

    pause: timedelta
    worst: timedelta = timedelta(minutes=1)

    def not_before(self, job: Job, at: datetime) -> datetime:
        """When the attempt after ``job``'s current one may start."""
        return at + min(self.pause * (1 << min(max(job.attempt - 1, 0), 16)), self.worst)


def may_retry(job: Job, fault: Fault) -> bool:
    """Whether an attempt is left, and another may end otherwise than this one did.

    What the user is to blame for fails the same way again, so by default it is not repeated.
    """
    return fault in job.spec.retry.on and job.attempt < job.max_attempts
