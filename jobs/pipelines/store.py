"""Pipelines, their revisions and the nodes of their runs in rows."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from difflib import get_close_matches
from typing import Any

from sqlalchemy import Row, and_, func, insert, select, update
from sqlalchemy.dialects import postgresql, sqlite

from jobs.lifecycle.states import TERMINAL
from jobs.pipelines.errors import PipelineChangedError, PipelineMissingError, RevisionMissingError
from jobs.pipelines.graph import Edge, Graph
from jobs.pipelines.progress import NodeRun, NodeState
from jobs.pipelines.reading import read
from jobs.pipelines.rows import pipeline_nodes, pipeline_revisions, pipelines
from jobs.pipelines.spec import Pipeline, fingerprint, to_json
from jobs.store.codec import from_json
from jobs.store.codec import to_json as value_json
from jobs.store.rows import jobs
from storage.base.errors import Failure
from storage.base.ids import JobId, ProjectId, UserId
from storage.meta.database import Tx


@dataclass(frozen=True, slots=True, kw_only=True)
class Revision:
    """A text of a pipeline that was applied, and how it was understood."""

    project_id: ProjectId
    number: int  #: from 1
    pipeline: Pipeline
    graph: Graph
    hash: str
    user_id: UserId
    at: datetime
    rolled_back_to: int | None = None  #: it repeats this one

    @property
    def name(self) -> str:
        """The pipeline's."""
        return self.pipeline.name


@dataclass(frozen=True, slots=True, kw_only=True)
class Applied:
    """The revision that is in force after an apply; ``new`` false: it was before."""

    revision: Revision
    new: bool


def apply(
    tx: Tx,
    *,
    project_id: ProjectId,
    user_id: UserId,
    pipeline: Pipeline,
    graph: Graph,
    at: datetime,
    rolled_back_to: int | None = None,
) -> Applied:
    """Keep ``pipeline`` as the next revision, unless it is the one in force already.

    Raises ``PipelineChangedError`` when somebody else applied another one meanwhile.
    """
    told = to_json(pipeline)
    current = _current(tx, project_id, pipeline.name)
    revision = Revision(
        project_id=project_id,
        number=1 if current is None else current.revision + 1,
        pipeline=pipeline,
        graph=graph,
        hash=fingerprint(told),
        user_id=user_id,
        at=at,
        rolled_back_to=rolled_back_to,
    )
    if current is not None and current.deleted_at is None:
        known = _load(tx, project_id, pipeline.name, current.revision)
        if known is not None and known.hash == revision.hash:
            return Applied(revision=_revision(known), new=False)
    put_in_force(tx, revision, seen=None if current is None else current.revision)
    tx.execute(
        insert(pipeline_revisions).values(
            project_id=project_id,
            name=pipeline.name,
            revision=revision.number,
            text=told,
            hash=revision.hash,
            graph=_graph_json(graph),
            user_id=user_id,
            at=at,
            rolled_back_to=rolled_back_to,
        )
    )
    return Applied(revision=revision, new=True)


def put_in_force(tx: Tx, revision: Revision, *, seen: int | None) -> None:
    """Make ``revision`` the one of new runs, over the one with the number ``seen``.

    Raises ``PipelineChangedError`` when that is not in force any more.
    """
    here = {"project_id": revision.project_id, "name": revision.name}
    values = {"revision": revision.number, "updated_at": revision.at, "deleted_at": None}
    if seen is None:
        insert_ = _INSERT[tx.dialect.name]
        done = tx.execute(insert_, here | values | {"created_at": revision.at}).first()
    else:
        done = tx.execute(
            update(pipelines)
            .where(
                pipelines.c.project_id == revision.project_id,
                pipelines.c.name == revision.name,
                pipelines.c.revision == seen,
            )
            .values(values)
            .returning(pipelines.c.name)
        ).first()
    if done is None:
        raise PipelineChangedError(f"pipeline {revision.name} was changed meanwhile")


def find(
    tx: Tx, project_id: ProjectId, name: str, *, number: int | None = None, deleted: bool = False
) -> Revision:
    """A revision, the one in force by default; ``deleted``: also of a deleted pipeline.

    Raises ``PipelineMissingError`` with near names, and ``RevisionMissingError``.
    """
    current = _current(tx, project_id, name)
    if current is None or (current.deleted_at is not None and not deleted):
        names = [row.name for row in _living(tx, project_id)]
        near = get_close_matches(name, names, n=1)
        raise PipelineMissingError(
            f"there is no pipeline {name!r}",
            hint=f"did you mean {near[0]!r}?" if near else "`dli pipeline list` has them",
            pipeline=name,
        )
    row = _load(tx, project_id, name, number or current.revision)
    if row is None:
        raise RevisionMissingError(
            f"pipeline {name} has no revision {number}",
            hint=f"there are 1 to {current.revision}",
            pipeline=name,
        )
    return _revision(row)


def every(tx: Tx, project_id: ProjectId) -> tuple[Revision, ...]:
    """The revisions in force of all pipelines, by name."""
    rows = tx.execute(
        select(pipeline_revisions)
        .join(
            pipelines,
            and_(
                pipelines.c.project_id == pipeline_revisions.c.project_id,
                pipelines.c.name == pipeline_revisions.c.name,
                pipelines.c.revision == pipeline_revisions.c.revision,
            ),
        )
        .where(pipelines.c.project_id == project_id, pipelines.c.deleted_at.is_(None))
        .order_by(pipelines.c.name)
    )
    return tuple(_revision(row) for row in rows)


def revisions(tx: Tx, project_id: ProjectId, name: str) -> tuple[Revision, ...]:
    """All of a pipeline, newest first. Raises ``PipelineMissingError``."""
    find(tx, project_id, name)
    rows = tx.execute(
        select(pipeline_revisions)
        .where(pipeline_revisions.c.project_id == project_id, pipeline_revisions.c.name == name)
        .order_by(pipeline_revisions.c.revision.desc())
    )
    return tuple(_revision(row) for row in rows)


def delete(tx: Tx, project_id: ProjectId, name: str, *, at: datetime) -> None:
    """Take a pipeline out of force; its revisions and runs stay. Raises if there is none."""
    find(tx, project_id, name)
    tx.execute(
        update(pipelines)
        .where(pipelines.c.project_id == project_id, pipelines.c.name == name)
        .values(deleted_at=at)
    )


def start_nodes(tx: Tx, nodes: Iterable[NodeRun]) -> None:
    """Write the nodes of a new run."""
    tx.execute(insert(pipeline_nodes), [_node_values(node) for node in nodes])


def nodes_of(tx: Tx, run_id: JobId) -> dict[str, NodeRun]:
    """All nodes of a run by name; none before it started."""
    rows = tx.execute(
        select(pipeline_nodes)
        .where(pipeline_nodes.c.run_id == run_id)
        .order_by(pipeline_nodes.c.node)
    )
    return {row.node: _node(row) for row in rows}


def write_nodes(tx: Tx, nodes: Sequence[NodeRun]) -> tuple[NodeRun, ...]:
    """Write each over the version that it was read at; the nodes as they are now.

    Raises ``PipelineChangedError`` when one of them is past that.
    """
    written: list[NodeRun] = []
    for node in nodes:
        after = replace(node, version=node.version + 1)
        done = tx.execute(
            update(pipeline_nodes)
            .where(
                pipeline_nodes.c.run_id == node.run_id,
                pipeline_nodes.c.node == node.node,
                pipeline_nodes.c.version == node.version,
            )
            .values(_node_values(after))
            .returning(pipeline_nodes.c.node)
        ).first()
        if done is None:
            raise PipelineChangedError(f"node {node.node} of {node.run_id} was changed meanwhile")
        written.append(after)
    return tuple(written)


def children(tx: Tx, run_id: JobId, node: str) -> tuple[JobId, ...]:
    """The jobs that were submitted for a node, in their order."""
    rows = tx.execute(
        select(jobs.c.id).where(jobs.c.parent_id == run_id, jobs.c.node == node).order_by(jobs.c.id)
    )
    return tuple(JobId(row.id) for row in rows)


def orphans(tx: Tx, *, limit: int) -> tuple[tuple[ProjectId, JobId], ...]:
    """Jobs that go on although the run they belong to has ended."""
    ended = [state.value for state in TERMINAL]
    parents = jobs.alias("parents")
    rows = tx.execute(
        select(jobs.c.project_id, jobs.c.id)
        .join(parents, parents.c.id == jobs.c.parent_id)
        .where(jobs.c.state.not_in([*ended, "cancelling"]), parents.c.state.in_(ended))
        .limit(limit)
    )
    return tuple((ProjectId(row.project_id), JobId(row.id)) for row in rows)


def busy(tx: Tx, run_ids: Sequence[JobId]) -> int:
    """How many of these runs are not at their end."""
    ended = [state.value for state in TERMINAL]
    counted = select(func.count()).where(jobs.c.id.in_(run_ids), jobs.c.state.not_in(ended))
    return int(tx.execute(counted).scalar_one())


def _current(tx: Tx, project_id: ProjectId, name: str) -> Row[Any] | None:
    return tx.execute(
        select(pipelines).where(pipelines.c.project_id == project_id, pipelines.c.name == name)
    ).first()


def _living(tx: Tx, project_id: ProjectId) -> Sequence[Row[Any]]:
    return tx.execute(
        select(pipelines.c.name).where(
            pipelines.c.project_id == project_id, pipelines.c.deleted_at.is_(None)
        )
    ).all()


def _load(tx: Tx, project_id: ProjectId, name: str, number: int) -> Row[Any] | None:
    return tx.execute(
        select(pipeline_revisions).where(
            pipeline_revisions.c.project_id == project_id,
            pipeline_revisions.c.name == name,
            pipeline_revisions.c.revision == number,
        )
    ).first()


def _revision(row: Row[Any]) -> Revision:
    return Revision(
        project_id=row.project_id,
        number=row.revision,
        pipeline=read(row.text),
        graph=_graph(row.graph),
        hash=row.hash,
        user_id=row.user_id,
        at=row.at,
        rolled_back_to=row.rolled_back_to,
    )


def _graph_json(graph: Graph) -> dict[str, Any]:
    return {
        "order": list(graph.order),
        "edges": [[edge.before, edge.after, edge.reason, edge.inferred] for edge in graph.edges],
    }


def _graph(told: Mapping[str, Any]) -> Graph:
    return Graph(
        order=tuple(told["order"]),
        edges=tuple(
            Edge(before=before, after=after, reason=reason, inferred=inferred)
            for before, after, reason, inferred in told["edges"]
        ),
    )


def _node_values(node: NodeRun) -> dict[str, Any]:
    return {
        "run_id": node.run_id,
        "node": node.node,
        "state": node.state.value,
        "version": node.version,
        "attempt": node.attempt,
        "job_id": node.job_id,
        "document": node.document,
        "outputs": node.outputs,
        "reason": node.reason,
        "failure": None if node.failure is None else failure_json(node.failure),
        "not_before": node.not_before,
        "started_at": node.started_at,
        "ended_at": node.ended_at,
        "taken_from": node.taken_from,
    }


def failure_json(failure: Failure) -> Any:
    """A failure in a row; details that have no form there are told as text."""
    details = {name: _plain(value) for name, value in failure.details.items()}
    return value_json(replace(failure, details=details))


def _plain(value: object) -> Any:
    try:
        return value_json(value)
    except TypeError:
        return str(value)


def _node(row: Row[Any]) -> NodeRun:
    return NodeRun(
        run_id=row.run_id,
        node=row.node,
        state=NodeState(row.state),
        version=row.version,
        attempt=row.attempt,
        job_id=row.job_id,
        document=row.document,
        outputs=row.outputs,
        reason=row.reason,
        failure=None if row.failure is None else from_json(Failure, row.failure),
        not_before=row.not_before,
        started_at=row.started_at,
        ended_at=row.ended_at,
        taken_from=row.taken_from,
    )


_INSERT: dict[str, Any] = {
    name: dialect.insert(pipelines).on_conflict_do_nothing().returning(pipelines.c.name)
    for name, dialect in (("sqlite", sqlite), ("postgresql", postgresql))
}
