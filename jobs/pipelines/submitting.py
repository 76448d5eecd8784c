"""From the wish to run a pipeline to a kept job."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from jobs.accepting import Accepting, KeyTakenError, Offer, check_terms, least
from jobs.errors import RequestInvalidError, WriteForbiddenError
from jobs.execution.lanes import DEEPEST
from jobs.execution.parts import Parts
from jobs.lifecycle.job import Job
from jobs.lifecycle.spec import JobKind, PipelineSpec, RetryPolicy
from jobs.lifecycle.states import JobState
from jobs.pipelines import store
from jobs.pipelines.errors import PipelineDeepError, RunNotResumableError
from jobs.pipelines.parameters import complete
from jobs.pipelines.spec import LABEL
from jobs.pipelines.store import Revision
from jobs.queues.definitions import DEFAULT_QUEUE
from jobs.queues.known import KnownQueues
from jobs.store.jobs import load
from jobs.views import JobView, Terms
from storage.base.errors import BusyError, ServiceError, TooLargeError, UnavailableError
from storage.base.ids import JobId, ProjectId

#: A run costs nothing but its rows, so one that is lost is always taken up again.
_ATTEMPTS = 1000

#: ``JobService.once``: the same key gives the same job.
Once = Callable[[Terms, Callable[[], JobView]], JobView]


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRequest:
    """A run of a pipeline; None means the pipeline's own, then the queue's or the service's.

    ``resumes`` is an ended run of the same pipeline: the new one is of its revision, has its
    parameters, and takes over what succeeded in it.
    """

    terms: Terms
    pipeline: str
    revision: int | None = None
    parameters: Mapping[str, Any] = field(default_factory=dict)
    resumes: JobId | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RunSubmitting:
    """The way in for runs. Safe to call from any thread."""

    parts: Parts
    accepting: Accepting
    queues: KnownQueues
    once: Once

    def submit(self, request: RunRequest) -> JobView:
        """Keep the run; it starts here if there is room.

        Raises ``PipelineMissingError``, ``ParameterInvalidError``, ``RunNotResumableError`` and
        what ``Accepting.keep`` raises; nothing is kept then.
        """
        return self.once(request.terms, lambda: self._submit(request))

    def revision(self, request: RunRequest) -> Revision:
        """Of which revision the run is. Raises ``PipelineMissingError``."""
        project = request.terms.project_id
        number = request.revision
        with self.parts.database.read() as tx:
            return store.find(tx, project, request.pipeline, number=number)

    def check(self, request: RunRequest) -> None:
        """Raise as ``submit`` would for the request itself; nothing is kept."""
        request = self._resuming(request)
        complete(self.revision(request).pipeline, request.parameters)

    def _submit(self, request: RunRequest) -> JobView:
        terms = request.terms
        check_run_terms(terms)
        if not terms.may_write:
            raise WriteForbiddenError(
                "a pipeline needs the right to write", hint="ask a project's admin"
            )
        request = self._resuming(request)
        revision = self.revision(request)
        depth = self._depth(terms.parent_id, revision.name)
        spec, queue_name = self._spec(request, revision, depth)
        check_terms(replace(terms, labels=spec.labels))
        queue = self.queues.get(terms.project_id, queue_name)
        job = self.accepting.new_job(
            JobKind.PIPELINE,
            spec,
            terms=replace(terms, labels=spec.labels),
            queue=queue,
            at=self.parts.clock.now(),
        )
        return self._kept(job, terms)

    def _kept(self, job: Job, terms: Terms) -> JobView:
        offer = Offer(job=job, key=terms.idempotency_key, body_hash=terms.body_hash)
        try:
            return self.accepting.keep(offer)
        except (BusyError, UnavailableError, TooLargeError, KeyTakenError):
            raise
        except ServiceError as error:
            self.accepting.keep_refused(offer, error)
            error.details["job_id"] = job.id
            raise

    def _resuming(self, request: RunRequest) -> RunRequest:
        """The request with revision and parameters of the run that it resumes."""
        if request.resumes is None:
            return request
        before = self.ended_run(request.terms.project_id, request.resumes)
        spec = before.spec
        assert isinstance(spec, PipelineSpec)
        if spec.pipeline != request.pipeline:
            raise RunNotResumableError(f"run {before.id} is of pipeline {spec.pipeline}")
        terms = request.terms
        terms = replace(
            terms,
            queue=terms.queue or before.queue,
            max_cost=spec.max_cost if terms.max_cost is None else terms.max_cost,
            labels={**spec.labels, **terms.labels},
        )
        return replace(
            request, terms=terms, revision=spec.revision, parameters=dict(spec.parameters)
        )

    def ended_run(self, project_id: ProjectId, run_id: JobId) -> Job:
        """A run that can be resumed. Raises ``RunNotResumableError``."""
        with self.parts.database.read() as tx:
            job = load(tx, run_id)
        if job is None or job.project_id != project_id or job.kind is not JobKind.PIPELINE:
            raise RunNotResumableError(f"there is no run {run_id} of a pipeline")
        if not job.state.terminal:
            raise RunNotResumableError(
                f"run {run_id} goes on", hint=f"cancel it first: dli job cancel {run_id}"
            )
        if job.state is JobState.FINISHED:
            raise RunNotResumableError(f"run {run_id} has finished", hint="start a new one")
        return job

    def _spec(
        self, request: RunRequest, revision: Revision, depth: int
    ) -> tuple[PipelineSpec, str]:
        terms, pipeline = request.terms, revision.pipeline
        most = self.parts.settings.max_timeout
        spec = PipelineSpec(
            pipeline=pipeline.name,
            revision=revision.number,
            parameters=complete(pipeline, request.parameters),
            resumes=request.resumes,
            depth=depth,
            labels={**pipeline.labels, **terms.labels, LABEL: pipeline.name},
            max_cost=least(terms.max_cost, pipeline.max_cost),
            timeout=min(terms.timeout or pipeline.timeout or most, most),
            retry=RetryPolicy(attempts=_ATTEMPTS),
            lease=terms.lease,
        )
        return spec, terms.queue or pipeline.queue or DEFAULT_QUEUE

    def _depth(self, parent_id: JobId | None, name: str) -> int:
        """How many runs it is within. A pipeline never runs within a run of itself."""
        way: list[str] = []
        with self.parts.database.read() as tx:
            while parent_id is not None:
                parent = load(tx, parent_id)
                if parent is None or not isinstance(parent.spec, PipelineSpec):
                    break
                way.append(parent.spec.pipeline)
                parent_id = parent.parent_id
        if name in way:
            raise PipelineDeepError(f"pipeline {name} runs itself: {' in '.join([name, *way])}")
        if len(way) >= DEEPEST:
            raise PipelineDeepError(f"more than {DEEPEST} pipelines run each other")
        return len(way)


def check_run_terms(terms: Terms) -> None:
    """As ``check_terms``, of a run. Raises ``RequestInvalidError``."""
    if terms.retry is not None:
        raise RequestInvalidError(
            "retry: a run has none; its nodes have",
            hint="say retry in the nodes of the pipeline",
            field="retry",
        )
    check_terms(terms)
