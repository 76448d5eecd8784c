"""The door to pipelines: apply, look, compare, run, resume, plan, backfill."""

from __future__ import annotations

import logging
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from jobs.documents import JobDocuments, Submitter
from jobs.errors import JobMissingError
from jobs.execution.parts import Parts
from jobs.firings.spec import Authors
from jobs.lifecycle.job import Job
from jobs.lifecycle.spec import JobKind, PipelineSpec
from jobs.pipelines import backfill_store, store
from jobs.pipelines.backfill_store import Backfill, Day
from jobs.pipelines.backfills import BackfillRequest, Backfills
from jobs.pipelines.checking import check_documents
from jobs.pipelines.differences import Difference, compare
from jobs.pipelines.graph import Edge, build
from jobs.pipelines.outputs import run_cost
from jobs.pipelines.planning import RunPlan, plan_run
from jobs.pipelines.progress import NodeRun, NodeState
from jobs.pipelines.reading import read
from jobs.pipelines.spec import LABEL, fingerprint, to_json
from jobs.pipelines.store import Applied, Revision
from jobs.pipelines.submitting import RunRequest, RunSubmitting
from jobs.pipelines.waits import NodeWait, node_waits
from jobs.pipelines.work import PipelineWork
from jobs.store.jobs import load
from jobs.views import JobFilter, JobView, Terms
from storage.base.errors import ServiceError
from storage.base.ids import JobId, ProjectId, UserId
from storage.meta.paging import Page

log = logging.getLogger(__name__)

_AT_ONCE = 100


class Jobs(Protocol):
    """What is asked of the jobs themselves; ``JobService`` is one."""

    def get(self, project_id: ProjectId, job_id: JobId) -> JobView:
        """The whole job."""

    def list(
        self, project_id: ProjectId, wanted: JobFilter, *, cursor: str | None, limit: int
    ) -> Page[JobView]:
        """Newest first."""

    def cancel(self, project_id: ProjectId, job_id: JobId) -> JobView:
        """Ask for its end."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunView:
    """A run with its nodes in the order of the graph. ``cost`` is in nanos, so far."""

    view: JobView
    nodes: tuple[NodeRun, ...]
    edges: tuple[Edge, ...]
    cost: int
    waits: Mapping[str, NodeWait] = field(default_factory=dict)  #: by node


@dataclass(frozen=True, slots=True, kw_only=True)
class BackfillView:
    """A backfill with its days, or in a list with how many are in each state."""

    backfill: Backfill
    days: tuple[Day, ...] = ()
    counts: Mapping[str, int] = field(default_factory=dict)
    spent: int = 0
    reserved: int = 0


class Pipelines:
    """Pipelines of all projects. Methods are safe to call from any thread."""

    def __init__(
        self,
        parts: Parts,
        jobs: Jobs,
        documents: JobDocuments,
        runs: RunSubmitting,
        authors: Authors,
    ) -> None:
        self._parts = parts
        self._jobs = jobs
        self._documents = documents
        self._runs = runs
        self._authors = authors
        self._backfills = Backfills(
            parts=parts, documents=documents, children=jobs, runs=runs, authors=authors
        )
        self.wake = threading.Event()  #: set when there is something to do for ``tick``

    @property
    def work(self) -> PipelineWork:
        """What an attempt at a run does."""
        return PipelineWork(documents=self._documents, children=self._jobs, authors=self._authors)

    def tick(self) -> int:
        """Bring backfills on, and end jobs whose run is gone; for a loop of any replica."""
        return self._backfills.tick() + self._cancel_orphans()

    def apply(
        self, project_id: ProjectId, user_id: UserId, name: str, given: Mapping[str, Any]
    ) -> Applied:
        """Keep a text as the revision in force, unless it is already.

        Raises ``PipelineInvalidError`` with all that is wrong.
        """
        revision = self._understood(project_id, user_id, name, given)
        with self._parts.database.transaction() as tx:
            return store.apply(
                tx,
                project_id=project_id,
                user_id=user_id,
                pipeline=revision.pipeline,
                graph=revision.graph,
                at=revision.at,
            )

    def get(self, project_id: ProjectId, name: str, *, number: int | None = None) -> Revision:
        """A revision, the one in force by default. Raises ``PipelineMissingError``."""
        with self._parts.database.read() as tx:
            return store.find(tx, project_id, name, number=number)

    def list(self, project_id: ProjectId) -> tuple[Revision, ...]:
        """All pipelines by name, as they are in force."""
        with self._parts.database.read() as tx:
            return store.every(tx, project_id)

    def revisions(self, project_id: ProjectId, name: str) -> tuple[Revision, ...]:
        """All of a pipeline, newest first."""
        with self._parts.database.read() as tx:
            return store.revisions(tx, project_id, name)

    def diff(
        self, project_id: ProjectId, name: str, *, before: int | None, after: int | None
    ) -> Difference:
        """Between two revisions: by default the one in force, and the one before it."""
        with self._parts.database.read() as tx:
            new = store.find(tx, project_id, name, number=after)
            old = store.find(
                tx, project_id, name, number=max(new.number - 1, 1) if before is None else before
            )
        return compare(old.pipeline, new.pipeline)

    def diff_text(
        self, project_id: ProjectId, name: str, given: Mapping[str, Any], *, before: int | None
    ) -> Difference:
        """From a revision (the one in force by default) to a text that is not applied."""
        old = self.get(project_id, name, number=before)
        return compare(old.pipeline, read(given, name=name))

    def rollback(self, project_id: ProjectId, user_id: UserId, name: str, number: int) -> Applied:
        """Make a new revision that equals an old one. Raises ``RevisionMissingError``."""
        with self._parts.database.transaction() as tx:
            old = store.find(tx, project_id, name, number=number)
            return store.apply(
                tx,
                project_id=project_id,
                user_id=user_id,
                pipeline=old.pipeline,
                graph=old.graph,
                at=self._parts.clock.now(),
                rolled_back_to=number,
            )

    def delete(self, project_id: ProjectId, name: str) -> None:
        """Take it out of force: nothing new runs; what runs goes on. Revisions and runs stay."""
        with self._parts.database.transaction() as tx:
            store.delete(tx, project_id, name, at=self._parts.clock.now())

    def run(self, request: RunRequest) -> JobView:
        """Start a run. Raises as ``RunSubmitting.submit``."""
        return self._runs.submit(request)

    def resume(self, terms: Terms, run_id: JobId) -> JobView:
        """A new run that takes over what succeeded in an ended one. Raises as ``run``."""
        before = self._run(terms.project_id, run_id)
        spec = before.spec
        assert isinstance(spec, PipelineSpec)
        return self._runs.submit(RunRequest(terms=terms, pipeline=spec.pipeline, resumes=run_id))

    def plan(
        self,
        by: Submitter,
        name: str,
        parameters: Mapping[str, Any],
        *,
        number: int | None = None,
    ) -> RunPlan:
        """What a run would do and cost; nothing is kept."""
        revision = self.get(by.project_id, name, number=number)
        return plan_run(revision, parameters, documents=self._documents, by=by)

    def plan_text(
        self, by: Submitter, name: str, given: Mapping[str, Any], parameters: Mapping[str, Any]
    ) -> RunPlan:
        """The same of a text that is not applied."""
        revision = self._understood(by.project_id, by.user_id, name, given)
        return plan_run(revision, parameters, documents=self._documents, by=by, applied=False)

    def runs(
        self, project_id: ProjectId, name: str, *, cursor: str | None, limit: int
    ) -> Page[JobView]:
        """Runs of a pipeline, newest first, also of a deleted one."""
        with self._parts.database.read() as tx:
            store.find(tx, project_id, name, deleted=True)
        wanted = JobFilter(kinds=frozenset({JobKind.PIPELINE}), labels={LABEL: name})
        return self._jobs.list(project_id, wanted, cursor=cursor, limit=limit)

    def run_view(self, project_id: ProjectId, run_id: JobId) -> RunView:
        """A run with its nodes. Raises ``JobMissingError`` for what is no run of a pipeline."""
        view = self._jobs.get(project_id, run_id)
        spec = view.job.spec
        if not isinstance(spec, PipelineSpec):
            raise JobMissingError(f"{run_id} is no run of a pipeline", job_id=run_id)
        with self._parts.database.read() as tx:
            revision = store.find(tx, project_id, spec.pipeline, number=spec.revision, deleted=True)
            nodes = store.nodes_of(tx, run_id)
            cost = run_cost(tx, run_id)
        ordered = {
            name: nodes.get(name, NodeRun(run_id=run_id, node=name))
            for name in revision.graph.order
        }
        return RunView(
            view=view,
            nodes=tuple(ordered.values()),
            edges=revision.graph.edges,
            cost=cost,
            waits={} if view.job.state.terminal else self._waits(project_id, revision, ordered),
        )

    def _waits(
        self, project_id: ProjectId, revision: store.Revision, nodes: Mapping[str, NodeRun]
    ) -> Mapping[str, NodeWait]:
        jobs = {
            name: self._jobs.get(project_id, node.job_id)
            for name, node in nodes.items()
            if node.state is NodeState.RUNNING and node.job_id is not None
        }
        return node_waits(
            revision.pipeline,
            revision.graph,
            nodes,
            jobs={name: view.wait for name, view in jobs.items() if view.wait is not None},
            now=self._parts.clock.now(),
        )

    def backfill(
        self, project_id: ProjectId, user_id: UserId, name: str, asked: BackfillRequest
    ) -> BackfillView:
        """Start a backfill of the revision in force. Raises ``BackfillInvalidError``."""
        made = self._backfills.create(self.get(project_id, name), asked, user_id)
        self.wake.set()
        return self.backfill_view(project_id, made.id)

    def backfills(self, project_id: ProjectId, name: str) -> tuple[BackfillView, ...]:
        """All of a pipeline, newest first, without their days."""
        with self._parts.database.read() as tx:
            store.find(tx, project_id, name, deleted=True)
            found = backfill_store.of_pipeline(tx, project_id, name)
            counts = backfill_store.counts(tx, [each.id for each in found])
        return tuple(BackfillView(backfill=each, counts=counts[each.id]) for each in found)

    def backfill_view(self, project_id: ProjectId, backfill_id: str) -> BackfillView:
        """One with its days. Raises ``BackfillMissingError``."""
        with self._parts.database.read() as tx:
            found = backfill_store.find(tx, project_id, backfill_id)
            days = backfill_store.days_of(tx, backfill_id)
            counts = backfill_store.counts(tx, [backfill_id])[backfill_id]
        return BackfillView(
            backfill=found,
            days=days,
            counts=counts,
            spent=sum(day.spent for day in days),
            reserved=sum(day.reserved for day in days),
        )

    def cancel_backfill(self, project_id: ProjectId, backfill_id: str) -> BackfillView:
        """No more days start, and the runs that go on are cancelled."""
        self._backfills.cancel(project_id, backfill_id)
        self.wake.set()
        return self.backfill_view(project_id, backfill_id)

    def resume_backfill(
        self, project_id: ProjectId, backfill_id: str, *, max_cost: int | None
    ) -> BackfillView:
        """Go on with the days that did not succeed."""
        self._backfills.resume(project_id, backfill_id, max_cost=max_cost)
        self.wake.set()
        return self.backfill_view(project_id, backfill_id)

    def _understood(
        self, project_id: ProjectId, user_id: UserId, name: str, given: Mapping[str, Any]
    ) -> Revision:
        """A text as the revision that it would be; its number is of no meaning yet."""
        pipeline = read(given, name=name)
        graph = build(pipeline, database=self._parts.settings.default_database)
        check_documents(pipeline, self._documents, project_id)
        return Revision(
            project_id=project_id,
            number=0,
            pipeline=pipeline,
            graph=graph,
            hash=fingerprint(to_json(pipeline)),
            user_id=user_id,
            at=self._parts.clock.now(),
        )

    def _run(self, project_id: ProjectId, run_id: JobId) -> Job:
        with self._parts.database.read() as tx:
            job = load(tx, run_id)
        if job is None or job.project_id != project_id or job.kind is not JobKind.PIPELINE:
            raise JobMissingError(f"there is no run {run_id} of a pipeline", job_id=run_id)
        return job

    def _cancel_orphans(self) -> int:
        """Jobs of runs that ended without them, as one whose replica died while it cancelled."""
        with self._parts.database.read() as tx:
            found = store.orphans(tx, limit=_AT_ONCE)
        for project_id, job_id in found:
            log.warning("a job without its run is cancelled", extra={"job": job_id})
            try:
                self._jobs.cancel(project_id, job_id)
            except ServiceError as error:
                log.info("not cancelled", extra={"job": job_id, "code": error.code})
        return len(found)
