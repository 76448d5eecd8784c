"""From rows to what is told of a job."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import Row

from jobs.errors import JobMissingError, LogExpiredError, LogMissingError
from jobs.execution.execution import Execution
from jobs.execution.parts import Parts
from jobs.execution.recent import Recent
from jobs.execution.workers import Workers
from jobs.launchers.api import LogPart, LogStream
from jobs.lifecycle.job import Job
from jobs.lifecycle.spec import (
    RUNS,
    BatchSession,
    BatchSpec,
    EngineName,
    JobKind,
    StatementSpec,
)
from jobs.lifecycle.states import JobState
from jobs.queues.definitions import QueueDef
from jobs.queues.ledger import Ledger
from jobs.queues.policy import WARM_UP
from jobs.queues.waits import wait_of
from jobs.runs.logs import read_log
from jobs.store.jobs import find, history, job_of
from jobs.store.listing import page, view_of
from jobs.store.run_rows import obstacle_for, run_log_removed_at, runs_of
from jobs.usage import Quote
from jobs.views import JobEvent, JobFilter, JobView, Obstacle, Wait
from storage.base.errors import GoneError, NotFoundError
from storage.base.ids import JobId, ProjectId
from storage.meta.database import Tx
from storage.meta.paging import Page
from storage.results.manifest import Manifest

_IN_PODS = frozenset({JobState.STARTING, JobState.RUNNING})  # where they may have some
_WARMING = Wait(reason=WARM_UP, position=1, detail="it has its place, and is being started")


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """Views of jobs. Another project's job is as one that does not exist."""

    parts: Parts
    workers: Workers
    recent: Recent
    ledger: Ledger

    def view(self, project_id: ProjectId, job_id: JobId) -> JobView:
        """The whole job as of one moment; only the progress may be newer than what is written.

        What runs here, or ended here just now, is told from memory: whoever waits asks often.
        """
        known = self.remembered(project_id, job_id)
        if known is not None:
            return known
        running = self.workers.find(job_id)
        with self.parts.database.read() as tx:
            row = self.row(tx, project_id, job_id)
            view = replace(view_of(row), history=history(tx, job_id))
            if view.job.kind in RUNS:
                view = replace(view, attempts=runs_of(tx, job_id))
            if view.job.state is JobState.QUEUED:
                view = replace(view, wait=self._wait(tx, view))
            if view.job.state in _IN_PODS:
                view = replace(view, obstacle=obstacle_for(tx, view.job, _engine_of(view.job)))
            if view.job.state is JobState.FINISHED and view.job.kind is JobKind.STATEMENT:
                manifest = self._manifest(tx, job_id)
                expires_at = None if manifest is None else manifest.expires_at
                view = replace(view, manifest=manifest, result_expires_at=expires_at)
        if running is not None and view.job.state.owned:
            view = replace(view, progress=running.progress)
        return view

    def remembered(self, project_id: ProjectId, job_id: JobId) -> JobView | None:
        """As ``view``, if this replica knows it without a look at the rows."""
        known = self._remembered(job_id, self.workers.find(job_id))
        if known is not None and known.job.kind in RUNS:
            return None  # its attempts are in rows
        return known if known is not None and known.job.project_id == project_id else None

    def list(
        self, project_id: ProjectId, wanted: JobFilter, *, cursor: str | None, limit: int
    ) -> Page[JobView]:
        """A page of jobs, newest first."""
        with self.parts.database.read() as tx:
            return page(tx, project_id, wanted, cursor=cursor, limit=limit)

    def events(self, project_id: ProjectId, job_id: JobId, *, after: int) -> tuple[JobEvent, ...]:
        """The steps above version ``after``."""
        with self.parts.database.read() as tx:
            self.row(tx, project_id, job_id)
            return history(tx, job_id, after=after)

    def log(
        self,
        project_id: ProjectId,
        job_id: JobId,
        *,
        stream: LogStream,
        attempt: int | None,
        offset: int,
        most: int,
    ) -> LogPart:
        """A part of what an attempt wrote; raises as ``JobService.log``."""
        with self.parts.database.read() as tx:
            job = job_of(self.row(tx, project_id, job_id))
            removed_at = run_log_removed_at(tx, job_id)
        wanted = job.attempt if attempt is None else attempt
        if job.kind not in RUNS:
            raise LogMissingError(f"a {job.kind.value} has no log", job_id=job_id)
        if not 0 <= wanted <= job.attempt or (attempt is not None and wanted == 0):
            raise LogMissingError(
                f"job {job_id} has made {job.attempt} attempts, not {wanted}", job_id=job_id
            )
        if removed_at is not None:
            raise LogExpiredError(
                f"the log of {job_id} was removed at {removed_at:%Y-%m-%d %H:%M} UTC",
                hint="the operator says how long logs are kept: DLI_LOGS_KEPT",
                job_id=job_id,
            )
        return read_log(
            self.parts.store,
            self.parts.launcher,
            job,
            attempt=wanted,
            stream=stream,
            offset=max(offset, 0),
            most=most,
        )

    def manifest(self, project_id: ProjectId, job_id: JobId) -> Manifest:
        """Of the result; raises what ``Results.manifest`` does."""
        with self.parts.database.read() as tx:
            self.row(tx, project_id, job_id)
            return self.parts.results.manifest(tx, job_id)

    def row(self, tx: Tx, project_id: ProjectId, job_id: JobId) -> Row[Any]:
        """The job's row. Raises ``JobMissingError``."""
        row = find(tx, job_id, project_id)
        if row is None:
            raise JobMissingError(f"there is no job {job_id}", job_id=job_id)
        return row

    def _remembered(self, job_id: JobId, running: Execution | None) -> JobView | None:
        """An end is told only with its result, which is remembered a moment after the commit."""
        view = None if running is None else running.view()
        if view is not None and view.job.state is JobState.STARTING:
            view = replace(view, wait=_WARMING)
        if view is not None and view.job.state in _IN_PODS:
            view = replace(view, obstacle=self._obstacle(view.job))
        return self.recent.get(job_id) if view is None or view.job.state.terminal else view

    def _obstacle(self, job: Job) -> Obstacle | None:
        """Of the engine of a statement that is here."""
        engine = _engine_of(job)
        if engine is None:
            return None
        return self.parts.pool.obstacle(project_id=job.project_id, queue=job.queue, engine=engine)

    def _manifest(self, tx: Tx, job_id: JobId) -> Manifest | None:
        try:
            return self.parts.results.manifest(tx, job_id)
        except (GoneError, NotFoundError):
            return None

    def _wait(self, tx: Tx, view: JobView) -> Wait | None:
        now = self.parts.clock.now()
        quote = view.job.quote

        def price(queue: QueueDef) -> Quote | None:
            if quote is None or queue.price_class == quote.price_class:
                return None
            return self.parts.ending.allowance.quote(
                price_class=queue.price_class, quantities=quote.quantities, at=now
            )

        return wait_of(self.ledger, tx, view.job, now=now, prices=price)


def _engine_of(job: Job) -> EngineName | None:
    """The shared engine that a job uses, if it does."""
    match job.spec:
        case StatementSpec() as spec:
            return spec.engine
        case BatchSpec(session=BatchSession.CONNECT):
            return EngineName.SPARK
    return None
