"""Pipelines for tests, as the mappings that their files hold."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

from dli.api.documents import Documents
from jobs.lifecycle.spec import JobKind
from jobs.loops.runner import Loop
from jobs.pipelines.graph import Graph, build
from jobs.pipelines.reading import read
from jobs.pipelines.service import Pipelines
from jobs.pipelines.spec import Pipeline
from jobs.pipelines.submitting import RunSubmitting
from jobs.views import Terms
from storage.base.ids import ProjectId, UserId
from storage.meta.database import Tx
from tests.support.jobs import PROJECT
from tests.support.replicas import Replica


def statement(sql: str = "SELECT 1", **fields: Any) -> dict[str, Any]:
    """A node that is a statement."""
    return {"kind": "statement", "sql": sql, **fields}


def make_pipeline(nodes: dict[str, Any], **fields: Any) -> Pipeline:
    """A pipeline of these nodes."""
    return read({"name": "daily", "nodes": nodes, **fields})


def make_graph(nodes: dict[str, Any], **fields: Any) -> Graph:
    """Its graph."""
    return build(make_pipeline(nodes, **fields), database="default")


#: Everything that a pipeline can say.
FULL: dict[str, Any] = {
    "name": "daily",
    "description": "Orders of one day.",
    "parameters": {
        "day": {"type": "date"},
        "least": {"type": "int", "default": 10, "description": "Rows that are enough."},
        "note": "string",
    },
    "queue": "default",
    "labels": {"team": "sales"},
    "max_cost": "1.50",
    "timeout": "2h",
    "parallel": 3,
    "nodes": {
        "load": statement(
            "CREATE OR REPLACE TABLE sales.day AS SELECT * FROM sales.raw WHERE day = :day",
            parameters={"day": {"ref": "params.day"}},
            retry={"attempts": 3, "pause": "10s"},
            timeout="10m",
            on_failure="tell",
        ),
        "count": statement("SELECT count(*) AS n FROM sales.day"),
        "export": {
            "kind": "task",
            "command": ["cp", {"join": ["out-", {"ref": "params.day"}]}],
            "needs": ["load"],
            "when": "nodes.count.result.value >= params.least and succeeded(count)",
            "on_failure": "continue",
        },
        "tell": statement("SELECT :id AS id", parameters={"id": {"ref": "nodes.load.job_id"}}),
    },
}


class Writers:
    """All but ``GONE`` may write."""

    def may_write(self, tx: Tx, project_id: ProjectId, user_id: UserId) -> bool:
        return user_id != GONE


GONE = UserId("usr_gone")


@contextmanager
def with_pipelines(replica: Replica) -> Iterator[Pipelines]:
    """Pipelines on a replica that runs, with their loop."""
    jobs = replica.service
    runs = RunSubmitting(
        parts=replica.parts, accepting=jobs.accepting, queues=jobs.queues.known, once=jobs.once
    )
    documents = Documents(jobs=jobs, runs=runs)
    pipelines = Pipelines(replica.parts, jobs, documents, runs, Writers())
    replica.service.add_kind(JobKind.PIPELINE, pipelines.work)
    loop = Loop(
        name="pipelines",
        tick=pipelines.tick,
        clock=replica.parts.clock,
        idle=timedelta(milliseconds=100),
        wake=pipelines.wake,
    )
    stop = threading.Event()
    thread = threading.Thread(target=loop.run, args=(stop,), name="pipelines")
    thread.start()
    try:
        yield pipelines
    finally:
        stop.set()
        loop.wake.set()
        thread.join()


def make_terms(**changes: Any) -> Terms:
    """Terms of one who may write."""
    values: dict[str, Any] = {"project_id": PROJECT, "user_id": UserId("usr_1"), "may_write": True}
    return Terms(**values | changes)
