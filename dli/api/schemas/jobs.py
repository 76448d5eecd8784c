"""Answers about jobs of any kind."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from dli.api.schemas.fields import Reply
from dli.api.schemas.statements import (
    BillReply,
    EstimateReply,
    FailureReply,
    ObstacleReply,
    ProgressReply,
    StepReply,
    UsageReply,
    WaitReply,
)
from jobs.lifecycle.spec import JobKind
from jobs.lifecycle.states import JobState


class AttemptReply(Reply):
    """One attempt of a batch or a task."""

    attempt: int
    run: str
    cluster: str = Field(description="Where it is; `default` where there is one only.")
    started_at: str | None
    ended_at: str | None
    exit_code: int | None = Field(description="Minus the signal's number after a signal.")
    reason: str | None = Field(description="Why it was ended; `ended`: by itself.")
    cpu_milliseconds: int | None
    peak_memory: int | None = Field(description="Bytes, of all its processes together.")
    facts: dict[str, Any] = Field(description="What its work told: stages, bytes, spill.")


class JobReply(Reply):
    """The envelope of every kind; statements have fields of their own beside (see there)."""

    id: str
    kind: JobKind
    name: str | None = None
    state: JobState
    terminal: bool
    project: str
    queue: str
    labels: dict[str, str]
    priority: int
    parent: str | None = Field(description="The pipeline run that it belongs to.")
    node: str | None
    attempt: int
    created_at: str
    started_at: str | None
    ended_at: str | None
    estimate: EstimateReply | None
    wait: WaitReply | None
    obstacle: ObstacleReply | None = None
    timings_ms: dict[str, float]
    progress: ProgressReply
    attempts: list[AttemptReply] = Field(default_factory=list)
    facts: dict[str, Any] = Field(
        default_factory=dict, description="What it came to: outputs, summaries, nodes."
    )
    usage: UsageReply
    bill: BillReply | None
    error: FailureReply | None
    history: list[StepReply]
    links: dict[str, str]


class JobsPage(Reply):
    items: list[JobReply]
    next_cursor: str | None


class PastReply(Reply):
    """An earlier attempt at the same program or statement; null: nobody measured it."""

    job: str
    attempt: int
    ended_at: str
    outcome: str = Field(description="finished, failed, or memory: it ended for want of it.")
    seconds: float
    cpu_seconds: float | None
    peak_memory: int | None
    spill_bytes: int | None
    memory_bytes: int = Field(description="That were reserved.")


class StoryReply(Reply):
    """A job in sentences."""

    id: str
    state: JobState
    story: list[str]
    fingerprint: str | None = Field(
        description="Of the program or statement, for `/history`; null for runs of pipelines."
    )
    past: list[PastReply] = Field(
        description="What the same program or statement used before, newest first."
    )
