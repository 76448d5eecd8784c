"""Taking over a job together with the run that an earlier life of this replica has launched."""

from __future__ import annotations

import logging
from dataclasses import dataclass

from sqlalchemy import select

from jobs.crash import crash_point
from jobs.execution.execution import Execution
from jobs.execution.lanes import lane_of
from jobs.execution.parts import Parts
from jobs.execution.workers import Workers
from jobs.launchers.api import RunState
from jobs.lifecycle.events import Adopted
from jobs.lifecycle.job import Job
from jobs.lifecycle.runs import run_id_of
from jobs.lifecycle.spec import RUNS
from jobs.lifecycle.states import JobState
from jobs.store.jobs import JobChangedError, apply, load
from jobs.store.rows import jobs

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Adoption:
    """A run that lives, or has left its exit facts, is worth more than another attempt."""

    parts: Parts
    workers: Workers

    def adopt(self, seen: Job) -> bool:
        """Whether this replica has the job's run and goes on with it, now or when a seat is free.

        A job of this kind is never held by two: its lease is over, and it is compared and set.
        """
        parts = self.parts
        has_run = seen.kind in RUNS  # a pipeline's are those of its nodes
        if has_run and parts.launcher.status(run_id_of(seen)).state is RunState.GONE:
            return False
        lane = lane_of(seen.kind, seen.depth)
        if not self.workers.take_seats(lane):
            return has_run  # it is not run again for want of a seat, which the next look may find
        crash_point("before_adoption")
        try:
            execution = self._taken(seen)
        except JobChangedError:
            execution = None
        if execution is None:
            self.workers.leave_seats(lane)
            return False
        crash_point("after_adoption")
        self.workers.start(execution)
        if execution.job.state is JobState.CANCELLING:
            self.workers.stop(execution)
        parts.changes.notify(seen.id)
        log.info("job adopted", extra={"job": seen.id, "run": run_id_of(seen)})
        return True

    def _taken(self, seen: Job) -> Execution | None:
        parts = self.parts
        now = parts.clock.now()
        event = Adopted(
            at=now, owner=parts.replica, lease_until=now + parts.settings.lease_of(seen.kind)
        )
        with parts.database.transaction() as tx:
            stored = load(tx, seen.id)
            if stored is None or stored.version != seen.version:
                return None
            if stored.lease_until is None or stored.lease_until >= now:
                return None  # its owner has just renewed it
            row = tx.execute(select(jobs.c.timings, jobs.c.usage).where(jobs.c.id == seen.id)).one()
            job = apply(tx, stored, event)
        return Execution(
            job,
            None,
            clock=parts.clock,
            timings=dict(row.timings or {}),
            used_before=row.usage,
            adopted=True,
        )
