"""Brings jobs on whose owner is silent, or whose time is over while nobody owns them."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import bindparam, select

from jobs.execution.parts import Parts
from jobs.lifecycle.events import DeadlinePassed, LeaseExpired
from jobs.lifecycle.job import Job
from jobs.lifecycle.states import OWNED, JobState
from jobs.store.jobs import apply, job_of
from jobs.store.rows import jobs
from storage.base.ids import JobId

log = logging.getLogger(__name__)

_AT_ONCE = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Reaper:
    """Ticks that any replica may run, at any time, as often as it likes."""

    parts: Parts

    def tick(self) -> int:
        """Expired leases first, then deadlines of jobs that wait; how many jobs it moved."""
        now = self.parts.clock.now()
        return self._expire_leases(now) + self._pass_deadlines(now)

    def _expire_leases(self, now: datetime) -> int:
        with self.parts.database.read() as tx:
            rows = tx.execute(_EXPIRED, {"now": now}).all()
        return sum(self._expire(job_of(row), now) for row in rows)

    def _expire(self, seen: Job, now: datetime) -> bool:
        """The lease is looked at again in the transaction: its owner may just have renewed it."""
        parts = self.parts
        if seen.state is JobState.CANCELLING and seen.run_id is not None:
            # Cancelled means stopped: nobody is left to see it, so the engine itself must end.
            parts.launcher.stop(seen.run_id, grace=timedelta(0), reason="its owner is gone")
        event = LeaseExpired(at=now, not_before=parts.backoff.not_before(seen, now))
        with parts.database.transaction() as tx:
            row = tx.execute(_LOCKED, {"job": seen.id}).first()
            if row is None or row.version != seen.version or row.lease_until >= now:
                return False
            after = apply(tx, job_of(row), event)
            parts.ending.close(tx, after, used={}, at=now)
            parts.tables.abandon(tx, seen.id, attempt=seen.attempt)
        self._tell(after.id, "lease expired", after.state)
        return True

    def _pass_deadlines(self, now: datetime) -> int:
        with self.parts.database.read() as tx:
            rows = tx.execute(_OVERDUE, {"now": now}).all()
        return sum(self._pass_deadline(JobId(row.id), now) for row in rows)

    def _pass_deadline(self, job_id: JobId, now: datetime) -> bool:
        with self.parts.database.transaction() as tx:
            row = tx.execute(_LOCKED, {"job": job_id}).first()
            if row is None or row.state != JobState.QUEUED.value:
                return False
            after = apply(tx, job_of(row), DeadlinePassed(at=now))
            self.parts.ending.close(tx, after, used={}, at=now)
        self._tell(job_id, "deadline passed", after.state)
        return True

    def _tell(self, job_id: JobId, what: str, state: JobState) -> None:
        log.warning("job reaped", extra={"job": job_id, "what": what, "state": state.value})
        self.parts.changes.notify(job_id)


_EXPIRED = (
    select(jobs)
    .where(
        jobs.c.state.in_(sorted(state.value for state in OWNED)),
        jobs.c.lease_until < bindparam("now"),
    )
    .limit(_AT_ONCE)
)
_OVERDUE = (
    select(jobs.c.id)
    .where(jobs.c.state == JobState.QUEUED.value, jobs.c.deadline < bindparam("now"))
    .limit(_AT_ONCE)
)
_LOCKED = select(jobs).where(jobs.c.id == bindparam("job")).with_for_update()
