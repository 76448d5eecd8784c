"""A pipeline run from its claim to its end.

Level-triggered: what is to be done follows from the rows of the run's nodes and from their jobs, so
that whoever claims the run goes on where the last one stopped. A node's attempt is written before
its job is submitted, and the job's key is made of run, node and attempt: nothing is submitted
twice. Rows are compared and set, so that one who has lost the run does no more to it.
"""

from __future__ import annotations

import contextlib
import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Protocol

from sqlalchemy import select

from jobs.crash import crash_point
from jobs.documents import JobDocuments, Submitter
from jobs.execution.execution import AttemptLostError, CancellingError, Execution
from jobs.execution.outcome import Outcome
from jobs.execution.parts import Parts
from jobs.firings.spec import Authors
from jobs.lifecycle.events import EngineReady
from jobs.lifecycle.job import Job
from jobs.lifecycle.spec import PipelineSpec
from jobs.lifecycle.states import JobState
from jobs.pipelines import store
from jobs.pipelines.drafting import Drafts
from jobs.pipelines.errors import PipelineChangedError, PipelineFailedError
from jobs.pipelines.outputs import outputs_of
from jobs.pipelines.parameters import typed
from jobs.pipelines.progress import (
    Next,
    NodeRun,
    NodeState,
    after_failure,
    choose_next,
    facts_of,
    failed_nodes,
    taken_over,
    value_of,
)
from jobs.pipelines.references import Ref
from jobs.pipelines.spec import LABEL, Pipeline
from jobs.pipelines.values import Typed
from jobs.store.jobs import job_of, keep_facts
from jobs.store.rows import jobs
from jobs.views import JobView, Progress
from storage.base.errors import (
    BusyError,
    ConflictError,
    Failure,
    ServiceError,
    UnavailableError,
)
from storage.base.ids import JobId, ProjectId
from storage.meta.database import Tx

log = logging.getLogger(__name__)

#: A change is told at once; this is how late one is seen that was not told.
_LOOK = timedelta(seconds=2)
_STOP_CHECK = timedelta(milliseconds=250)
_AGAIN = timedelta(seconds=1)  # after a queue was full, or a part away
_EVER = datetime.min.replace(tzinfo=UTC)


class Children(Protocol):
    """What a run asks of the jobs of its nodes."""

    def get(self, project_id: ProjectId, job_id: JobId) -> JobView:
        """The whole job."""

    def cancel(self, project_id: ProjectId, job_id: JobId) -> JobView:
        """Ask for its end."""


class RunHandedOverError(UnavailableError):
    """The replica stops; another goes on with the run."""

    code = "pipeline_run_handed_over"


@dataclass(frozen=True, slots=True, kw_only=True)
class PipelineWork:
    """The ``Work`` of pipeline runs."""

    documents: JobDocuments
    children: Children
    authors: Authors

    def __call__(self, parts: Parts, execution: Execution) -> Outcome:
        """Bring the run to its end. Raises ``PipelineFailedError`` where a node failed it."""
        run = _Run(parts, execution, self)
        with run:
            return run.outcome()


class _Run:
    """One claim of one run; all of it happens on one thread, but for ``wake``."""

    def __init__(self, parts: Parts, execution: Execution, work: PipelineWork) -> None:
        self._parts = parts
        self._execution = execution
        self._documents = work.documents
        self._children = work.children
        self._wake = threading.Event()
        self._leave: dict[JobId, Callable[[], None]] = {}
        self._later: dict[str, datetime] = {}  #: nodes that could not be submitted just now
        job = execution.job
        assert isinstance(job.spec, PipelineSpec), f"{job.id} is no pipeline run"
        self._job = job
        self._spec = job.spec
        with parts.database.read() as tx:
            revision = store.find(
                tx,
                job.project_id,
                job.spec.pipeline,
                number=job.spec.revision,
                deleted=True,
            )
            self._nodes = store.nodes_of(tx, job.id)
        self._graph = revision.graph
        self._pipeline: Pipeline = revision.pipeline
        self._parameters = typed(self._pipeline, job.spec.parameters)
        self._by = Submitter(
            project_id=job.project_id,
            user_id=job.user_id,
            may_write=True,  # asked again before each node
            parent_id=job.id,
            labels={**self._pipeline.labels, **job.spec.labels, LABEL: self._pipeline.name},
        )
        self._drafts = Drafts(
            database=parts.database,
            documents=work.documents,
            authors=work.authors,
            pipeline=self._pipeline,
            job=job,
            by=self._by,
            max_cost=job.spec.max_cost,
            lookup=self._lookup,
        )

    def __enter__(self) -> None:
        self._execution.interrupt = self._wake.set

    def __exit__(self, *_: object) -> None:
        self._execution.interrupt = None
        for leave in self._leave.values():
            leave()

    def outcome(self) -> Outcome:
        """Go on until every node has ended."""
        if self._execution.job.state is JobState.STARTING:
            self._execution.write(self._parts.database, EngineReady(at=self._now()))
            self._parts.changes.notify(self._job.id)
        if not self._nodes:
            self._begin()
        while True:
            self._wake.clear()
            self._check_stop()
            next_ = self._turn()
            if next_.done:
                return self._end()
            self._wait(next_)

    def _begin(self) -> None:
        """Write the nodes; those that succeeded in the run that this one resumes are done."""
        with self._parts.database.transaction() as tx:
            before = {} if self._spec.resumes is None else store.nodes_of(tx, self._spec.resumes)
            nodes = [
                taken_over(before.get(name), NodeRun(run_id=self._job.id, node=name))
                for name in self._pipeline.nodes
            ]
            store.start_nodes(tx, nodes)
        self._nodes = {node.node: node for node in nodes}

    def _turn(self) -> Next:
        """Do all that can be done now; what remains is to wait for."""
        self._recover()
        while True:
            self._look()  # also at what was just submitted: its end is told to who listens
            next_ = choose_next(
                self._pipeline, self._graph, self._nodes, lookup=self._lookup, now=self._now()
            )
            start = [name for name in next_.start if self._later.get(name, _EVER) <= self._now()]
            if not (next_.end or next_.failed or start):
                break
            self._end_without_job(next_)
            for name in start:
                self._check_stop()
                self._start(name)
        ended = sum(node.state.ended for node in self._nodes.values())
        self._execution.progress = Progress(fraction=ended / len(self._nodes))
        return next_

    def _recover(self) -> None:
        """Submit what was about to be when the last owner died, or could not be just then."""
        for name, node in list(self._nodes.items()):
            if node.state is NodeState.RUNNING and node.job_id is None and self._is_time(name):
                self._submit(name)

    def _look(self) -> None:
        """Take in how the jobs of running nodes are."""
        running = {
            node.job_id: node
            for node in self._nodes.values()
            if node.state is NodeState.RUNNING and node.job_id is not None
        }
        for job_id in running:
            if job_id not in self._leave:
                self._leave[job_id] = self._parts.changes.subscribe(job_id, self._wake.set)
        for job in self._jobs(list(running)):
            if job.state.terminal:
                self._take_end(running[job.id], job)
                self._leave.pop(job.id)()

    def _jobs(self, job_ids: list[JobId]) -> list[Job]:
        if not job_ids:
            return []
        with self._parts.database.read() as tx:
            return [job_of(row) for row in tx.execute(select(jobs).where(jobs.c.id.in_(job_ids)))]

    def _take_end(self, node: NodeRun, job: Job) -> None:
        now = self._now()
        if job.state is JobState.FINISHED:
            view = self._children.get(self._job.project_id, job.id)
            ended = replace(
                node, state=NodeState.SUCCEEDED, outputs=outputs_of(view), ended_at=now, reason=None
            )
        else:
            ended = after_failure(node, job, self._pipeline.nodes[node.node].retry, now=now)
        self._write(ended)
        crash_point("pipeline_node_ended")

    def _end_without_job(self, next_: Next) -> None:
        now = self._now()
        ended: list[NodeRun] = []
        for name, (state, reason) in next_.end.items():
            node = self._nodes[name]
            if node.attempt and state is NodeState.OMITTED:
                state = NodeState.FAILED  # no more attempts: its last failure stands
            ended.append(replace(node, state=state, reason=reason, ended_at=now))
        for name, failure in next_.failed.items():
            node = self._nodes[name]
            ended.append(replace(node, state=NodeState.FAILED, failure=failure, ended_at=now))
        if ended:
            self._write(*ended)

    def _start(self, name: str) -> None:
        """Write the attempt down, then submit its job."""
        node, now = self._nodes[name], self._now()
        try:
            document = self._drafts.draft(name)
        except (BusyError, UnavailableError):
            self._later[name] = now + _AGAIN
            return
        except ServiceError as error:
            self._write(
                replace(node, state=NodeState.FAILED, failure=Failure.of(error), ended_at=now)
            )
            return
        self._write(
            replace(
                node,
                state=NodeState.RUNNING,
                attempt=node.attempt + 1,
                job_id=None,
                document=document,
                failure=None,
                reason=None,
                not_before=None,
                started_at=node.started_at or now,
            )
        )
        crash_point("pipeline_before_submit")
        self._submit(name)

    def _submit(self, name: str) -> None:
        """Submit the current attempt's job, unless it was before; keep its id."""
        node = self._nodes[name]
        assert node.document is not None
        with self._parts.database.read() as tx:
            known = store.children(tx, self._job.id, name)
        if len(known) >= node.attempt:
            self._write(replace(node, job_id=known[node.attempt - 1], reason=None))
            return
        key = f"{self._job.id}/{name}/{node.attempt}"
        try:
            view = self._documents.submit(node.document, by=replace(self._by, node=name), key=key)
        except ServiceError as error:
            self._not_submitted(node, error)
            return
        crash_point("pipeline_after_submit")
        self._write(replace(node, job_id=view.job.id, reason=None))

    def _not_submitted(self, node: NodeRun, error: ServiceError) -> None:
        """What is refused is not asked for again; what cannot be taken now, in a moment."""
        now = self._now()
        if isinstance(error, BusyError | UnavailableError) or (
            isinstance(error, ConflictError) and error.retryable
        ):
            self._later[node.node] = now + _AGAIN
            if node.reason != error.message:
                self._write(replace(node, reason=error.message))
            return
        job_id = error.details.get("job_id")
        self._write(
            replace(
                node,
                state=NodeState.FAILED,
                job_id=JobId(job_id) if isinstance(job_id, str) else None,
                failure=Failure.of(error),
                ended_at=now,
            )
        )

    def _end(self) -> Outcome:
        """All nodes have ended: the run has finished, or a node failed it."""
        facts = facts_of(self._nodes)
        failed = failed_nodes(self._pipeline, self._nodes)
        if not failed:
            return Outcome(facts=facts)
        with self._parts.database.transaction() as tx:
            keep_facts(tx, self._job.id, facts)
        failure = self._nodes[failed[0]].failure
        why = "" if failure is None else f": {failure.message}"
        others = f" (and {len(failed) - 1} more)" if len(failed) > 1 else ""
        raise PipelineFailedError(
            f"node {failed[0]} failed{others}{why}",
            hint=f"mend it, then: dli pipeline resume {self._job.id}",
            nodes=list(failed),
            node_code=None if failure is None else failure.code,
        )

    def _wait(self, next_: Next) -> None:
        """Until a job changes, a pause is over, or somebody wants the run to end."""
        clock = self._parts.clock
        moments = [at for at in (next_.look_at, *self._later.values()) if at is not None]
        now = self._now()
        until = min([now + _LOOK, *(at for at in moments if at > now)])
        while now < until and not self._execution.stop.is_set():
            if clock.wait(self._wake, min(until - now, _STOP_CHECK)):
                return
            now = self._now()

    def _check_stop(self) -> None:
        execution = self._execution
        cancelling = execution.job.state is JobState.CANCELLING
        if not (cancelling or execution.stop.is_set()):
            return
        if cancelling:
            self._cancel()
            raise CancellingError(f"run {self._job.id} is cancelled", job_id=self._job.id)
        if execution.hand_over:
            raise RunHandedOverError("the replica stops", job_id=self._job.id)
        raise AttemptLostError(f"run {self._job.id} was taken over", job_id=self._job.id)

    def _cancel(self) -> None:
        """Cancel what runs, and return when all of it has ended."""
        while True:
            try:
                if self._all_stopped():
                    break
            except UnavailableError:
                log.warning("a cancel waits", extra={"job": self._job.id}, exc_info=True)
            if self._execution.hand_over:
                raise AttemptLostError("left to another replica", job_id=self._job.id)
            self._parts.clock.wait(self._wake, _AGAIN)
            self._wake.clear()
        now = self._now()
        reason = "the run was cancelled"
        open_ = [node for node in self._nodes.values() if not node.state.ended]
        nodes = [
            replace(node, state=NodeState.CANCELLED, reason=reason, ended_at=now) for node in open_
        ]
        with self._parts.database.transaction() as tx:
            self._write_in(tx, nodes)
            keep_facts(tx, self._job.id, facts_of(self._nodes))

    def _all_stopped(self) -> bool:
        """Ask all jobs of the run to end; whether they have."""
        with self._parts.database.read() as tx:
            rows = tx.execute(select(jobs).where(jobs.c.parent_id == self._job.id)).all()
        living = [job for job in map(job_of, rows) if not job.state.terminal]
        for job in living:
            if job.id not in self._leave:
                self._leave[job.id] = self._parts.changes.subscribe(job.id, self._wake.set)
            if job.state is not JobState.CANCELLING:
                with contextlib.suppress(ConflictError):
                    self._children.cancel(self._job.project_id, job.id)
        return not living

    def _write(self, *nodes: NodeRun) -> None:
        with self._parts.database.transaction() as tx:
            self._write_in(tx, list(nodes))

    def _write_in(self, tx: Tx, nodes: list[NodeRun]) -> None:
        try:
            written = store.write_nodes(tx, nodes)
        except PipelineChangedError as error:
            raise AttemptLostError(
                f"run {self._job.id} was taken over", job_id=self._job.id
            ) from error
        for node in written:
            self._nodes[node.node] = node
            log.info(
                "node changed",
                extra={"job": self._job.id, "node": node.node, "state": node.state.value},
            )

    def _lookup(self, ref: Ref) -> Typed | None:
        return value_of(ref, self._parameters, self._nodes)

    def _is_time(self, name: str) -> bool:
        return self._later.get(name, _EVER) <= self._now()

    def _now(self) -> datetime:
        return self._parts.clock.now()
