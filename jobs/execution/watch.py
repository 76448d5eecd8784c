"""Looks after the jobs that run here: their rows, their time, and who wants them to end."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta

from sqlalchemy import select

from jobs.execution.execution import AttemptLostError, CancellingError, Execution
from jobs.execution.parts import Parts
from jobs.execution.workers import Workers
from jobs.lifecycle.events import DeadlinePassed
from jobs.lifecycle.job import Job
from jobs.lifecycle.machine import IllegalTransitionError
from jobs.lifecycle.runs import run_id_of
from jobs.lifecycle.spec import RUNS
from jobs.lifecycle.states import JobState
from jobs.store.jobs import load, renew
from jobs.store.rows import jobs
from storage.base.ids import JobId

_BATCH = 500
_LOOK_EVERY = timedelta(milliseconds=500)  # at rows, for cancels by other replicas


@dataclass(slots=True, kw_only=True)
class Watch:
    """Ticks of loops over the jobs that run here."""

    parts: Parts
    workers: Workers
    _looked: float = field(default=0.0)

    def tick(self) -> int:
        """Flush steps and progress, stop what is over its time or wanted to end."""
        active = self.workers.active()
        for execution in active:
            self._flush(execution)
            self._check_deadline(execution)
        now = self.parts.clock.monotonic()
        if active and now - self._looked >= _LOOK_EVERY.total_seconds():
            self._looked = now
            self._look(active)
        return 0

    def renew(self) -> int:
        """Extend the leases of what runs here, and of nothing else: a job that its worker left
        must fall to the reaper."""
        others = [each.job for each in self.workers.active() if each.job.kind not in RUNS]
        self._renew(others, self.parts.settings.lease)
        return 0

    def renew_runs(self) -> int:
        """Likewise of runs, which are told: that takes long where many do not answer."""
        runs = [each for each in self.workers.active() if each.job.kind in RUNS]
        if runs:
            began = self.parts.launcher.moment()
            self._renew([each.job for each in runs], self.parts.settings.run_lease)
            # Only now: a run must not outlive a lease that could not be renewed.
            self.parts.launcher.renew([run_id_of(each.job) for each in runs], at=began)
            for each in runs:
                each.renewed_at = began
        return 0

    def _renew(self, held: Sequence[Job], lease: timedelta) -> None:
        until = self.parts.clock.now() + lease
        ids = [job.id for job in held]
        for start in range(0, len(ids), _BATCH):
            with self.parts.database.transaction() as tx:
                renew(tx, self.parts.replica, ids[start : start + _BATCH], until)

    def _flush(self, execution: Execution) -> None:
        settings = self.parts.settings
        silent = self.parts.clock.monotonic() - execution.touched
        try:
            if execution.unwritten and silent >= settings.flush_after.total_seconds():
                execution.write(self.parts.database)
            elif (
                execution.job.state is JobState.RUNNING
                and silent >= settings.progress_every.total_seconds()
            ):
                execution.note_progress(self.parts.database)
            else:
                return
        except (CancellingError, AttemptLostError):
            self.workers.stop(execution)
        self.parts.changes.notify(execution.job.id)

    def _check_deadline(self, execution: Execution) -> None:
        job = execution.job
        now = self.parts.clock.now()
        if job.state is JobState.CANCELLING:
            self.workers.stop(execution)
        elif job.deadline is not None and now >= job.deadline and job.state.owned:
            with contextlib.suppress(AttemptLostError, CancellingError, IllegalTransitionError):
                execution.write(self.parts.database, DeadlinePassed(at=now))  # unless it just ended
            self.workers.stop(execution)
            self.parts.changes.notify(job.id)

    def _look(self, active: Sequence[Execution]) -> None:
        ids = sorted({execution.job.id for execution in active})
        for start in range(0, len(ids), _BATCH):
            with self.parts.database.read() as tx:
                found = tx.execute(
                    select(jobs.c.id, jobs.c.state, jobs.c.owner, jobs.c.attempt).where(
                        jobs.c.id.in_(ids[start : start + _BATCH])
                    )
                ).all()
                rows = {JobId(row.id): row for row in found}
                cancelled = {
                    job_id: stored
                    for job_id, row in rows.items()
                    if row.state == JobState.CANCELLING.value
                    and (stored := load(tx, job_id)) is not None
                }
            for execution in active:
                row = rows.get(execution.job.id)
                if row is None or execution.ended.is_set():
                    continue
                if (row.owner, row.attempt) != (self.parts.replica, execution.job.attempt):
                    execution.lose()
                    self.workers.stop(execution)
                elif row.id in cancelled:
                    execution.adopt(cancelled[row.id])
                    self.workers.stop(execution)
