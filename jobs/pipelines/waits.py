"""Why a node of a run does not run yet, in the words of jobs that wait. Pure.

A node is no job before it starts, so a queue never holds it back for another node: the run does. A
node whose job waits in a queue has the reason of that job.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from jobs.pipelines.graph import Graph
from jobs.pipelines.progress import NodeRun, NodeState
from jobs.pipelines.spec import Pipeline
from jobs.queues.policy import RETRY, WORKERS
from jobs.views import Wait

DEPENDENCY = "dependency"  #: nodes before it have not ended
PARALLEL = "parallel_limit"  #: as many nodes run as the pipeline says


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeWait:
    """``reason`` is one word of a closed list, ``detail`` is for people."""

    reason: str
    detail: str


def node_waits(
    pipeline: Pipeline,
    graph: Graph,
    nodes: Mapping[str, NodeRun],
    *,
    jobs: Mapping[str, Wait],
    now: datetime,
) -> dict[str, NodeWait]:
    """By node, for each that waits in a run that has not ended; ``jobs``: of jobs, by node."""
    running = sum(node.state is NodeState.RUNNING for node in nodes.values())
    found: dict[str, NodeWait] = {}
    for name, node in nodes.items():
        if node.state is NodeState.RUNNING:
            wait = jobs.get(name)
            if wait is not None:
                found[name] = NodeWait(reason=wait.reason, detail=wait.detail)
            elif node.job_id is None:
                found[name] = NodeWait(
                    reason=WORKERS, detail=node.reason or "its job is being submitted"
                )
        elif node.state is NodeState.WAITING:
            found[name] = _waiting(pipeline, node, _before(pipeline, graph, nodes, name),
                                   nodes=nodes, running=running, now=now)  # fmt: skip
    return found


def _before(
    pipeline: Pipeline, graph: Graph, nodes: Mapping[str, NodeRun], name: str
) -> Sequence[str]:
    """What must end first: handlers come after all that are none."""
    if name in pipeline.handlers:
        before = [each for each in nodes if each not in pipeline.handlers]
    else:
        before = list(dict.fromkeys(edge.before for edge in graph.into(name)))
    return [each for each in before if not nodes[each].state.ended]


def _waiting(
    pipeline: Pipeline,
    node: NodeRun,
    before: Sequence[str],
    *,
    nodes: Mapping[str, NodeRun],
    running: int,
    now: datetime,
) -> NodeWait:
    if before:
        told = ", ".join(f"{each} ({nodes[each].state.value})" for each in before)
        return NodeWait(reason=DEPENDENCY, detail=f"it comes after {told}")
    if node.not_before is not None and node.not_before > now:
        return NodeWait(reason=RETRY, detail=f"{node.reason}; the next one starts after a pause")
    if running >= pipeline.parallel:
        detail = f"{running} nodes run, as many as the pipeline lets run at a time"
        return NodeWait(reason=PARALLEL, detail=detail)
    return NodeWait(reason=WORKERS, detail="it starts in a moment")
