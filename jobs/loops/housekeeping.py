"""What a replica does now and then for all jobs, whichever of them run here."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import delete, select

from jobs.engines.members import Key
from jobs.execution.parts import Parts
from jobs.lifecycle.states import TERMINAL
from jobs.queues import store as queue_store
from jobs.queues.ledger import Ledger
from jobs.store.jobs import load
from jobs.store.rows import job_plans, jobs
from storage.base.ids import JobId


@dataclass(frozen=True, slots=True, kw_only=True)
class Housekeeping:
    """Two ticks; either may be left out for long without harm to a job."""

    parts: Parts
    ledger: Ledger

    def report(self) -> int:
        """Tell what this place gives to jobs, and keep the engines that queues want warm here."""
        self.ledger.report(self.parts.clock.now())
        if self.parts.settings.workers:
            with self.parts.database.read() as tx:
                wanted = queue_store.warm(tx)
            self.parts.pool.keep_warm(
                Key(
                    project_id=queue.project_id,
                    queue=queue.name,
                    engine=queue.default_engine,
                    image=self.parts.canaries.own_image(queue.project_id, queue.name),
                )
                for queue in wanted
            )
        return 0

    def sweep(self) -> int:
        """Remove what is of no use any more: files of writes, objects of results, plans."""
        parts = self.parts
        parts.tables.sweep()
        parts.canaries.sweep()
        parts.results.sweep(live=self._is_live)
        ended = select(jobs.c.id).where(jobs.c.state.in_([state.value for state in TERMINAL]))
        with parts.database.transaction() as tx:
            tx.execute(delete(job_plans).where(job_plans.c.job_id.in_(ended)))
        return 0

    def _is_live(self, job_id: JobId) -> bool:
        with self.parts.database.read() as tx:
            job = load(tx, job_id)
        return job is not None and not job.state.terminal
