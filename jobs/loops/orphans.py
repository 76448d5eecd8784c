"""Compares processes with rows, both ways: what one has and the other has not is an orphan."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from datetime import timedelta

from sqlalchemy import select

from jobs.execution.parts import Parts
from jobs.execution.workers import Workers
from jobs.lifecycle.runs import is_of_job, run_id_of
from jobs.lifecycle.spec import RUNS
from jobs.store import run_rows
from jobs.store.jobs import job_of
from jobs.store.rows import jobs
from jobs.store.run_rows import runs
from storage.base.ids import RunId

log = logging.getLogger(__name__)


@dataclass(slots=True, kw_only=True)
class Orphans:
    """Of this replica's launcher. ``found`` counts the processes that nobody wanted any more."""

    parts: Parts
    workers: Workers
    found: int = field(default=0)

    def tick(self) -> int:
        """Stop and forget runs that no job wants; close rows of runs that are gone."""
        known = {run_id for run_id in self.parts.launcher.known() if is_of_job(run_id)}
        unwanted = known - self._wanted()
        for run_id in unwanted:
            self._stop(run_id)
        return len(unwanted) + self._close_rows(known)

    def living(self) -> tuple[RunId, ...]:
        """Runs that live here and that no job wants, for people who ask."""
        wanted = self._wanted()
        return tuple(
            run_id
            for run_id in self.parts.launcher.running()
            if is_of_job(run_id) and run_id not in wanted
        )

    def _wanted(self) -> frozenset[RunId]:
        """Of jobs that are not at their end, and of those that a worker here still sees off."""
        here = {run_id_of(execution.job) for execution in self.workers.active()}
        living = select(jobs).where(
            jobs.c.kind.in_(sorted(kind.value for kind in RUNS)), jobs.c.ended_at.is_(None)
        )
        with self.parts.database.read() as tx:
            rows = tx.execute(living).all()
        return frozenset(here | {run_id_of(job_of(row)) for row in rows})

    def _stop(self, run_id: RunId) -> None:
        launcher = self.parts.launcher
        lived = not launcher.status(run_id).state.ended
        if lived:
            log.warning("orphan stopped", extra={"run": run_id})
            launcher.stop(run_id, grace=timedelta(seconds=2), reason="no job wants it")
        launcher.forget(run_id)
        self.found += lived

    def _close_rows(self, known: set[RunId]) -> int:
        """A row without an end, whose job is at its end and whose process is nowhere."""
        parts = self.parts
        open_rows = (
            select(runs.c.id)
            .join(jobs, jobs.c.id == runs.c.job_id)
            .where(
                runs.c.owner == parts.replica,
                runs.c.ended_at.is_(None),
                jobs.c.ended_at.is_not(None),
            )
        )
        with parts.database.read() as tx:
            lost = [row.id for row in tx.execute(open_rows) if row.id not in known]
        for run_id in lost:
            with parts.database.transaction() as tx:
                run_rows.end_run(
                    tx, run_id, at=parts.clock.now(), exit_code=None, reason="its service died"
                )
        return len(lost)
