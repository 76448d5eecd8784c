"""What a run does next, as a pure function of its plan and of how its nodes are.

A node runs when all before it have ended and what it needs succeeded. What is not to run any more
is skipped (its own condition does not hold) or omitted (what it needs did not succeed, or the run
has failed). When a node fails that is not to be passed over, nothing new starts; what runs goes on
to its end, then the handlers of the failed nodes run, then the run fails.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from jobs.lifecycle.job import CancelReason, Job
from jobs.pipelines.graph import Graph
from jobs.pipelines.references import Lookup, Ref
from jobs.pipelines.spec import CONTINUE, Node, NodeRetry, Pipeline
from jobs.pipelines.values import Typed
from storage.base.errors import Failure, ServiceError
from storage.base.ids import JobId

JOB_CANCELLED = "job_cancelled"  #: failure code of a node whose job somebody cancelled
_LONGEST_PAUSE = timedelta(hours=1)


class NodeState(StrEnum):
    """Where a node of a run is."""

    WAITING = "waiting"
    RUNNING = "running"  #: its job is submitted, or about to be
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    SKIPPED = "skipped"  #: its condition does not hold
    OMITTED = "omitted"  #: what it needs did not succeed, or the run has failed
    CANCELLED = "cancelled"  #: with the run

    @property
    def ended(self) -> bool:
        """Whether nothing can happen to it any more."""
        return self not in (NodeState.WAITING, NodeState.RUNNING)


#: How a node ended, in the words of conditions.
_STATUS: Mapping[NodeState, str] = {
    NodeState.SUCCEEDED: "succeeded",
    NodeState.FAILED: "failed",
    NodeState.CANCELLED: "failed",
    NodeState.SKIPPED: "skipped",
    NodeState.OMITTED: "skipped",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeRun:
    """A node of a run at one version. ``attempt`` counts the jobs that were submitted for it.

    ``document`` is what the current attempt submits; ``outputs`` is what it gave: ``rows``,
    ``value`` ({type, value}), ``files`` (name to URI).
    """

    run_id: JobId
    node: str
    state: NodeState = NodeState.WAITING
    version: int = 1
    attempt: int = 0
    job_id: JobId | None = None
    document: Mapping[str, Any] | None = None
    outputs: Mapping[str, Any] | None = None
    reason: str | None = None
    failure: Failure | None = None
    not_before: datetime | None = None
    started_at: datetime | None = None
    ended_at: datetime | None = None
    taken_from: JobId | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Next:
    """What to do now. Nothing in it and not ``done``: wait for a job, or until ``look_at``."""

    start: tuple[str, ...] = ()
    end: Mapping[str, tuple[NodeState, str]] = field(default_factory=dict)  #: with the reason
    failed: Mapping[str, Failure] = field(default_factory=dict)  #: before any job
    done: bool = False
    look_at: datetime | None = None


def choose_next(
    pipeline: Pipeline,
    graph: Graph,
    nodes: Mapping[str, NodeRun],
    *,
    lookup: Lookup,
    now: datetime,
) -> Next:
    """What may start and what will never run, in the order of the graph.

    What ends without a job is told at once, and what follows from that by the next call.
    """
    running = sum(node.state is NodeState.RUNNING for node in nodes.values())
    look = _Look(
        pipeline=pipeline,
        graph=graph,
        nodes=nodes,
        lookup=lookup,
        failed=failed_nodes(pipeline, nodes),
        running=running,
    )
    start: list[str] = []
    end: dict[str, tuple[NodeState, str]] = {}
    failed: dict[str, Failure] = {}
    later: list[datetime] = []
    for name in graph.order:
        if nodes[name].state is not NodeState.WAITING:
            continue
        try:
            verdict = look.verdict(name)
        except ServiceError as error:
            failed[name] = Failure.of(error)
            continue
        not_before = nodes[name].not_before
        if isinstance(verdict, tuple):
            end[name] = verdict
        elif verdict and not_before is not None and not_before > now:
            later.append(not_before)
        elif verdict and running + len(start) < pipeline.parallel:
            start.append(name)
    return Next(
        start=tuple(start),
        end=end,
        failed=failed,
        done=all(node.state.ended for node in nodes.values()),
        look_at=min(later, default=None),
    )


def failed_nodes(pipeline: Pipeline, nodes: Mapping[str, NodeRun]) -> tuple[str, ...]:
    """The nodes whose failure is the run's."""
    return tuple(
        name
        for name, node in nodes.items()
        if node.state is NodeState.FAILED and pipeline.nodes[name].on_failure != CONTINUE
    )


def after_failure(node: NodeRun, job: Job, retry: NodeRetry, *, now: datetime) -> NodeRun:
    """The node whose job ended so: tried again, if ``retry`` says so and nobody wanted the end."""
    failure = job.failure or Failure(
        code=JOB_CANCELLED, message=f"somebody cancelled {job.id}", hint=None
    )
    wanted = job.cancel_reason in (CancelReason.REQUESTED, CancelReason.CLIENT_GONE)
    if wanted or node.attempt >= retry.attempts:
        return replace(node, state=NodeState.FAILED, failure=failure, ended_at=now)
    pause = min(retry.pause * (1 << (node.attempt - 1)), _LONGEST_PAUSE)
    return replace(
        node,
        state=NodeState.WAITING,
        failure=failure,
        reason=f"attempt {node.attempt} of {retry.attempts} failed",
        not_before=now + pause,
    )


def taken_over(before: NodeRun | None, fresh: NodeRun) -> NodeRun:
    """The node of a run that resumes another: done, if it had succeeded ``before``."""
    if before is None or before.state is not NodeState.SUCCEEDED:
        return fresh
    return replace(
        before, run_id=fresh.run_id, version=1, taken_from=before.taken_from or before.run_id
    )


def facts_of(nodes: Mapping[str, NodeRun]) -> dict[str, Any]:
    """What the run came to, for who looks at it as a job."""
    return {
        "nodes": {
            name: {
                "state": node.state.value,
                "job": node.job_id,
                "attempt": node.attempt,
                "outputs": dict(node.outputs or {}),
            }
            for name, node in nodes.items()
        }
    }


def value_of(
    ref: Ref, parameters: Mapping[str, Typed], nodes: Mapping[str, NodeRun]
) -> Typed | None:
    """The value of a reference in a run; None where there is none."""
    if ref.parameter is not None:
        return parameters.get(ref.parameter)
    node = nodes[str(ref.node)]
    if ref.output == "job_id":
        return None if node.job_id is None else Typed(type="string", value=node.job_id)
    outputs = node.outputs or {}
    if node.state is not NodeState.SUCCEEDED:
        return None
    match ref.output:
        case "result.rows":
            rows = outputs.get("rows")
            return None if rows is None else Typed(type="bigint", value=rows)
        case "result.value":
            value = outputs.get("value")
            return None if value is None else Typed(type=value["type"], value=value["value"])
    files: Mapping[str, str] = outputs.get("files") or {}
    uri = files.get(ref.file) if ref.file is not None else next(iter(files.values()), None)
    return None if uri is None else Typed(type="string", value=uri)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Look:
    """A run as it is at one moment."""

    pipeline: Pipeline
    graph: Graph
    nodes: Mapping[str, NodeRun]
    lookup: Lookup
    failed: tuple[str, ...]
    running: int

    def verdict(self, name: str) -> bool | tuple[NodeState, str]:
        """True: it may start; False: not yet; a state and a reason: it never will.

        Raises ``ValueMissingError`` from its condition.
        """
        if name in self.pipeline.handlers:
            return self._handler(name)
        if self.failed:
            return NodeState.OMITTED, f"the run failed at {self.failed[0]}"
        node = self.pipeline.nodes[name]
        if not self._all_ended(name):
            return False
        for edge in self.graph.into(name):
            unmet = self._unmet(node, edge.before, inferred=edge.inferred)
            if unmet is not None:
                return NodeState.OMITTED, unmet
        return self._condition(node)

    def _handler(self, name: str) -> bool | tuple[NodeState, str]:
        """It runs when one of its nodes failed and all but handlers have ended."""
        others = [each for each in self.nodes if each not in self.pipeline.handlers]
        if not all(self.nodes[each].state.ended for each in others):
            return False
        handled = self.pipeline.handlers[name]
        if not any(self.nodes[each].state is NodeState.FAILED for each in handled):
            return NodeState.SKIPPED, f"{' and '.join(handled)} did not fail"
        return self._condition(self.pipeline.nodes[name])

    def _all_ended(self, name: str) -> bool:
        return all(self.nodes[edge.before].state.ended for edge in self.graph.into(name))

    def _unmet(self, node: Node, before: str, *, inferred: bool) -> str | None:
        """Why a node that ended keeps ``node`` from running."""
        state = self.nodes[before].state
        if state is NodeState.SUCCEEDED:
            return None
        if node.when is not None and any(status.node == before for status in node.when.statuses()):
            return None  # its condition decides on that
        if inferred and state is NodeState.SKIPPED:
            return None  # a table that was not to be written is read as it is
        return f"{before} is {state}"

    def _condition(self, node: Node) -> bool | tuple[NodeState, str]:
        if node.when is None or node.when.holds(self.lookup, self._ended):
            return True
        return NodeState.SKIPPED, f"not so: {node.when.text}"

    def _ended(self, name: str) -> str:
        return _STATUS[self.nodes[name].state]
