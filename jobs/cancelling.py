"""The end of a job that somebody asks for, whether it runs here, elsewhere or not yet."""

from __future__ import annotations

import logging
from dataclasses import dataclass

from jobs.execution.execution import AttemptLostError, CancellingError, Execution
from jobs.execution.parts import Parts
from jobs.execution.workers import Workers
from jobs.lifecycle.events import CancelRequested
from jobs.lifecycle.machine import IllegalTransitionError
from jobs.reading import Reading
from jobs.store.jobs import JobChangedError, apply, job_of
from storage.base.ids import JobId, ProjectId, UserId

log = logging.getLogger(__name__)

_TRIES = 5  # at a step that others compete for


@dataclass(frozen=True, slots=True, kw_only=True)
class Cancelling:
    """Asks for the end; what runs is stopped by whoever runs it."""

    parts: Parts
    workers: Workers
    reading: Reading

    def cancel(self, project_id: ProjectId, job_id: JobId, *, by: UserId | None) -> None:
        """A queued job is cancelled at once, a running one is ``cancelling``; twice is as once.

        Raises ``JobMissingError``, also for another project's.
        """
        for _ in range(_TRIES):
            running = self.workers.find(job_id)
            try:
                if running is not None and running.job.project_id == project_id:
                    self._cancel_running(running, by)
                else:
                    self._cancel_row(project_id, job_id, by)
                break
            except JobChangedError:
                continue
        self.parts.changes.notify(job_id)

    def _cancel_running(self, running: Execution, by: UserId | None) -> None:
        now = self.parts.clock.now()
        try:
            with running.finishing(self.parts.database, CancelRequested(at=now, by=by)) as tx:
                if running.job.state.terminal:  # its attempt has ended, and another was to come
                    self.parts.ending.close(tx, running.job, used={}, at=now)
        except IllegalTransitionError:
            return  # it ended meanwhile
        except CancellingError:
            log.info("another was first", extra={"job": running.job.id})
        except AttemptLostError:  # to whoever claimed the next one, who finds the cancel in the row
            self._cancel_row(running.job.project_id, running.job.id, by)
        self.workers.stop(running)

    def _cancel_row(self, project_id: ProjectId, job_id: JobId, by: UserId | None) -> None:
        now = self.parts.clock.now()
        with self.parts.database.transaction() as tx:
            job = job_of(self.reading.row(tx, project_id, job_id))
            if job.state.terminal:
                return
            after = apply(tx, job, CancelRequested(at=now, by=by))
            if after.state.terminal:
                self.parts.ending.close(tx, after, used={}, at=now)
