"""Builders of jobs and queues for tests."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from jobs.lifecycle.job import Job
from jobs.lifecycle.spec import (
    BatchLanguage,
    BatchSpec,
    EngineName,
    FileRef,
    JobKind,
    JobSpec,
    PipelineSpec,
    Size,
    StatementSpec,
    TaskSpec,
)
from jobs.lifecycle.states import JobState
from jobs.queues.definitions import QueueDef
from storage.base.ids import JobId, ProjectId, UserId

NOW = datetime(2026, 1, 1, tzinfo=UTC)
PROJECT = ProjectId("default")


def make_spec(**changes: Any) -> StatementSpec:
    """A query for Sail, with ``changes``."""
    values: dict[str, Any] = {
        "sql": "select 1",
        "database": "default",
        "engine": EngineName.SAIL,
        "engine_reason": "queue default",
        "statement_type": "query",
        "timeout": timedelta(minutes=5),
        "result_ttl": timedelta(hours=1),
        "max_rows": 1000,
    }
    return StatementSpec(**values | changes)


def make_batch_spec(**changes: Any) -> BatchSpec:
    """A Python program for Spark, with ``changes``."""
    values: dict[str, Any] = {
        "name": "count",
        "program": FileRef(name="count.py", size=10, sha256="ab" * 32),
        "language": BatchLanguage.PYTHON,
        "database": "default",
        "driver": Size(cores=1, memory_bytes=2**30),
        "timeout": timedelta(hours=1),
    }
    return BatchSpec(**values | changes)


def make_task_spec(**changes: Any) -> TaskSpec:
    """A local command, with ``changes``."""
    values: dict[str, Any] = {
        "name": "cat",
        "command": ("cat",),
        "size": Size(cores=1, memory_bytes=2**28),
        "max_output_bytes": 2**30,
        "timeout": timedelta(minutes=5),
    }
    return TaskSpec(**values | changes)


def make_pipeline_spec(**changes: Any) -> PipelineSpec:
    """A run of the first revision of a pipeline, with ``changes``."""
    values: dict[str, Any] = {"pipeline": "daily", "revision": 1, "timeout": timedelta(hours=6)}
    return PipelineSpec(**values | changes)


def make_job(**changes: Any) -> Job:
    """A job just submitted, with ``changes``."""
    values: dict[str, Any] = {
        "id": JobId("stm_1"),
        "kind": JobKind.STATEMENT,
        "project_id": PROJECT,
        "user_id": UserId("usr_1"),
        "queue": "default",
        "spec": make_spec(),
        "state": JobState.QUEUED,
        "version": 1,
        "attempt": 0,
        "max_attempts": 3,
        "created_at": NOW,
        "deadline": NOW + timedelta(minutes=5),
    }
    return Job(**values | changes)


def make_queue(**changes: Any) -> QueueDef:
    """The default queue, with ``changes``."""
    return QueueDef(**{"project_id": PROJECT, "name": "default"} | changes)


SPECS: dict[JobKind, JobSpec] = {
    JobKind.STATEMENT: make_spec(),
    JobKind.BATCH: make_batch_spec(),
    JobKind.TASK: make_task_spec(),
    JobKind.PIPELINE: make_pipeline_spec(),
}
