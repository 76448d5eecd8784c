"""What may be set of jobs of every kind: how many at a time, how long, how large."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

from pydantic import BaseModel, Field

from dli.settings.values import Paths, Size, Span, Words
from jobs.tasks.sandbox import SandboxMode


class StatementSettings(BaseModel):
    """Statements"""

    workers: int = Field(
        64, ge=1, le=1000, description="Statements that this replica runs at the same time."
    )
    max_attempts: int = Field(
        3,
        ge=1,
        le=10,
        description="How often a statement is tried when its engine or service dies.",
    )
    lease: Span = Field(
        timedelta(seconds=15),
        ge=timedelta(seconds=1),
        description="A statement whose replica is silent for so long is taken over (span).",
    )
    max_timeout: Span = Field(
        timedelta(hours=24), description="Longest time that a statement may ask for (span)."
    )
    result_ttl: Span = Field(
        timedelta(hours=24), description="How long a result is kept, if its statement says nothing."
    )
    max_result_ttl: Span = Field(
        timedelta(days=30), description="Longest time that a result may be kept (span)."
    )
    max_rows: int = Field(
        10_000_000, ge=1, description="Most rows of a result; it is truncated there and says so."
    )
    max_result_bytes: Size = Field(
        10 * 2**30, description="Most bytes of a result (size); it is truncated there and says so."
    )
    refresh_after: Span = Field(
        timedelta(seconds=10),
        description="How old the listing of an external table may be before it is looked at again "
        "(span).",
    )
    preparers: int = Field(
        2, ge=1, le=64, description="Child processes that parse and price statements."
    )
    prepare_limit: Span = Field(
        timedelta(seconds=2), description="Longest time to parse and price a statement (span)."
    )
    prepare_memory: Size = Field(
        2**30, description="Memory that parsing one statement may take (size)."
    )


class WorkSettings(BaseModel):
    """Batches, tasks and pipelines"""

    run_workers: int = Field(
        32, ge=1, le=1000, description="Batches and tasks that this replica runs at the same time."
    )
    pipeline_workers: int = Field(
        64,
        ge=1,
        le=1000,
        description="Pipeline runs that this replica sees to at the same time; of those within "
        "others as many again, at each level.",
    )
    run_lease: Span = Field(
        timedelta(seconds=60),
        ge=timedelta(seconds=15),
        description="A batch or task goes on without its service for so long (span); a restart "
        "within it takes it over, then it is ended and tried again.",
    )


class BatchSettings(BaseModel):
    """Batches and files"""

    batches: bool = Field(
        True,
        description="Whether writers may run Spark programs. These run as the service's own user "
        "and can read what it can: turn them off where writers are strangers.",
    )
    max_upload: Size = Field(
        2**29, description="Largest file, or form with files, that may be uploaded (size)."
    )
    files_kept: Span = Field(
        timedelta(days=30),
        ge=timedelta(days=1),
        description="An uploaded file that no job named for so long is removed (span).",
    )
    batch_python: Path | None = Field(
        None,
        description="Python that runs batches, with PySpark 4.2.1; the service's own if not set.",
    )


class TaskSettings(BaseModel):
    """Tasks"""

    task_commands: Words = Field(
        (),
        description="Programs that tasks may run, separated by commas: a name, an absolute path, "
        "or `PROJECT:NAME` for one project only. None: there are no tasks. Whoever may write can "
        "give them any argument, and a shell lets them run anything. With the launcher "
        "`kubernetes` they are those of its image.",
    )
    task_images: Words = Field(
        (),
        description="Images that tasks may name, separated by commas, as "
        "`registry.example.org/tools/*`: `*` stands for any text. None: there are no tasks with "
        "images. Needs the launcher `kubernetes`.",
    )
    task_sandbox: SandboxMode = Field(
        SandboxMode.AUTO,
        description="`auto`: commands run in a sandbox (bubblewrap) where that works, else with "
        "limits only; `require`: no tasks without one; `off`: limits only. A pod is its own.",
    )
    task_paths: Paths = Field(
        (),
        description="Folders that commands may read in the sandbox, besides the system's programs "
        "and libraries; separated by `:`.",
    )
    task_max_output: Size = Field(
        2**30 * 2, description="Most bytes that one task may write (size)."
    )
