"""Requests and answers about pipelines. What is wrong inside a text is told by ``jobs.pipelines``.

So the fields of a text have no types here but those of its JSON Schema.
"""

from __future__ import annotations

from datetime import date, timedelta
from typing import Annotated, Any

from pydantic import Field, WithJsonSchema

from dli.api.schemas.fields import (
    MONEY_SCHEMA,
    MOST_NUMBER,
    SPAN_SCHEMA,
    Body,
    MoneyReply,
    MoneyText,
    Reply,
    Span,
    span_field,
)
from dli.api.schemas.jobs import JobReply
from dli.api.schemas.statements import FailureReply
from dli.api.schemas.terms import TermsBody
from jobs.pipelines.values import TYPES

_TYPE = {
    "type": "string",
    "description": f"{', '.join(TYPES)} or decimal(p,s).",
    "examples": ["date"],
}
_PARAMETER: dict[str, Any] = {
    "anyOf": [
        _TYPE,
        {
            "type": "object",
            "properties": {
                "type": _TYPE,
                "default": {"description": "The value of runs that give none."},
                "required": {"type": "boolean"},
                "description": {"type": "string"},
            },
            "additionalProperties": False,
        },
    ]
}

Text = Annotated[Any, WithJsonSchema({"type": "string"})]
TextOfMoney = Annotated[Any, WithJsonSchema(MONEY_SCHEMA)]
TextOfSpan = Annotated[Any, WithJsonSchema(SPAN_SCHEMA)]
Number = Annotated[Any, WithJsonSchema({"type": "integer", "minimum": 1})]
Texts = Annotated[
    Any, WithJsonSchema({"type": "object", "additionalProperties": {"type": "string"}})
]
Parameters = Annotated[Any, WithJsonSchema({"type": "object", "additionalProperties": _PARAMETER})]
Nodes = Annotated[
    Any,
    WithJsonSchema(
        {"type": "object", "minProperties": 1, "additionalProperties": {"type": "object"}}
    ),
]


class PipelineBody(Body):
    """A pipeline as its file holds it; `GET /schemas/pipeline.json` says all of it."""

    name: Text = Field(None, description="As in the path, if it is here at all.")
    description: Text = None
    parameters: Parameters = Field(None, description="What a run is given, by name.")
    nodes: Nodes = Field(
        None,
        description="Jobs of any kind by name, with `needs`, `when`, `retry` and `on_failure`.",
    )
    queue: Text = Field(None, description="Of runs, and of the nodes that name none.")
    labels: Texts = Field(None, description="Of runs and of all their jobs.")
    max_cost: TextOfMoney = Field(None, description="Most money of a whole run, as `0.50`.")
    timeout: TextOfSpan = Field(None, description="Of a whole run, as `2h`.")
    parallel: Number = Field(None, description="Nodes that run at the same time; 8 if not given.")


class RunBody(TermsBody):
    """A run of a pipeline."""

    parameters: dict[str, Any] = Field(default_factory=dict)
    revision: int | None = Field(
        None, ge=1, le=MOST_NUMBER, description="The one in force if not given."
    )
    wait: Span = span_field(timedelta(0), "How long to wait for the end, 0s to 60s.")


class PipelineRunBody(RunBody):
    """A run as a job document: what schedules, triggers and other pipelines submit."""

    pipeline: str = Field(description="Its name.")


class ResumeBody(TermsBody):
    """A new run that takes over what succeeded in an ended one."""

    wait: Span = span_field(timedelta(0), "How long to wait for the end, 0s to 60s.")


class PlanBody(Body):
    """What to plan: the pipeline in force, an old revision, or a text that is not applied."""

    parameters: dict[str, Any] = Field(default_factory=dict)
    revision: int | None = Field(None, ge=1, le=MOST_NUMBER)
    pipeline: PipelineBody | None = Field(None, description="A text to plan instead.")


class DiffBody(Body):
    """A text to compare with a revision."""

    pipeline: PipelineBody
    revision: int | None = Field(
        None, ge=1, le=MOST_NUMBER, description="The one in force if not given."
    )


class RollbackBody(Body):
    """Which revision to repeat."""

    revision: int = Field(ge=1, le=MOST_NUMBER)


class BackfillBody(Body):
    """One run a day from `from` to `to`, both included."""

    first: date = Field(alias="from")
    last: date = Field(alias="to")
    parallel: int = Field(1, description="Runs at the same time, 1 to 100.")
    max_cost: MoneyText | None = Field(None, description="Most money of all runs together.")
    parameter: str | None = Field(
        None, description="The parameter that gets the day, where there are several dates."
    )
    parameters: dict[str, Any] = Field(default_factory=dict, description="All others.")


class BackfillResume(Body):
    """Go on with the days that did not succeed."""

    max_cost: MoneyText | None = Field(None, description="A new cap of all runs together.")


class EdgeReply(Reply):
    before: str
    after: str
    reason: str = Field(description="`needs`, `when`, `on_failure`, `reads sales.day`, …")
    inferred: bool = Field(description="It follows from the SQL; nobody said it.")


class PipelineReply(Reply):
    """A revision of a pipeline."""

    name: str
    revision: int
    new: bool | None = Field(None, description="Only of an apply: whether it changed anything.")
    hash: str
    author: str
    at: str
    rolled_back_to: int | None
    pipeline: dict[str, Any] = Field(description="The canonical text.")
    order: list[str]
    edges: list[EdgeReply]


class PipelineSummary(Reply):
    """A pipeline or a revision in a list."""

    name: str
    revision: int
    description: str | None
    nodes: int
    hash: str
    author: str
    at: str
    rolled_back_to: int | None


class PipelinesPage(Reply):
    items: list[PipelineSummary]
    next_cursor: str | None


class ChangeReply(Reply):
    before: Any
    after: Any


class DiffReply(Reply):
    """What was done to the first text to make it the second."""

    same: bool
    fields: dict[str, ChangeReply]
    added: list[str]
    removed: list[str]
    changed: dict[str, dict[str, ChangeReply]] = Field(description="By node, then by field.")


class NodePlanReply(Reply):
    name: str
    kind: str
    after: list[EdgeReply]
    when: str | None
    only_after_failure: list[str]
    price: MoneyReply | None
    unpriced: str | None = Field(description="Why it has no price before the run.")


class PlanReply(Reply):
    """A run as it would be; nothing of it is kept."""

    pipeline: str
    revision: int | None
    parameters: dict[str, Any]
    nodes: list[NodePlanReply]
    price: MoneyReply = Field(description="The sum of what has a price.")
    complete: bool = Field(description="Whether every node has one.")
    max_cost: MoneyReply | None


class NodeWaitReply(Reply):
    """Why a node does not run yet."""

    reason: str = Field(
        description="dependency, parallel_limit, retry_pause, starting_soon; or its job's."
    )
    detail: str


class NodeReply(Reply):
    """A node of a run."""

    name: str
    state: str = Field(
        description="waiting, running, succeeded, failed, skipped, omitted or cancelled."
    )
    job: str | None = Field(description="Of the last attempt.")
    attempt: int
    started_at: str | None
    ended_at: str | None
    reason: str | None
    wait: NodeWaitReply | None
    taken_from: str | None = Field(description="The run that it succeeded in.")
    outputs: dict[str, Any]
    error: FailureReply | None
    after: list[EdgeReply]


class RunReply(JobReply):
    """The envelope of all jobs, with the nodes."""

    cost: MoneyReply = Field(description="What its jobs have taken, or may still take.")
    nodes: list[NodeReply]


class DayReply(Reply):
    day: str
    state: str
    attempt: int
    run: str | None
    resumes: str | None
    spent: MoneyReply
    reserved: MoneyReply
    reason: str | None


class BackfillReply(Reply):
    """A backfill; `days` are empty in lists."""

    id: str
    pipeline: str
    revision: int
    state: str = Field(description="running, cancelling, finished, failed or cancelled.")
    first: str = Field(alias="from")
    last: str = Field(alias="to")
    parameter: str
    parameters: dict[str, Any]
    parallel: int
    max_cost: MoneyReply | None
    spent: MoneyReply
    reserved: MoneyReply
    counts: dict[str, int] = Field(description="Days by state.")
    reason: str | None
    created_at: str
    ended_at: str | None
    days: list[DayReply]


class BackfillsPage(Reply):
    items: list[BackfillReply]
    next_cursor: str | None
