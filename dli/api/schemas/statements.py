"""Requests and answers about statements."""

from __future__ import annotations

from datetime import timedelta
from enum import StrEnum
from typing import Any

from pydantic import Field

from dli.api.schemas.fields import Body, MoneyReply, Reply, Size, Span, span_field
from dli.api.schemas.terms import TermsBody
from jobs.lifecycle.spec import OnBudget
from jobs.lifecycle.states import JobState


class Mode(StrEnum):
    """How far a statement is taken."""

    RUN = "run"
    ESTIMATE = "estimate"
    VALIDATE = "validate"
    EXPLAIN = "explain"


class ResultOptions(Body):
    """What is kept of the result, and for how long."""

    ttl: Span | None = Field(default=None, description="How long the result is kept.")
    max_rows: int | None = Field(
        default=None, ge=0, description="More rows are cut off, and told so."
    )


class StatementBody(TermsBody):
    """One SQL statement to run, price, check or explain."""

    sql: str = Field(min_length=1, description="One statement in Spark's dialect.")
    database: str | None = Field(None, description="Where unqualified names are looked up.")
    engine: str | None = Field(None, description="`sail` or `spark`; else the queue's.")
    parameters: dict[str, Any] | list[Any] = Field(
        default_factory=list,
        description="Values of `:name` (an object) or `?` (a list): JSON scalars, or "
        '`{"type": "date", "value": "2026-01-01"}`. Never put into the text.',
    )
    wait: Span = span_field(timedelta(seconds=10), "How long to wait for the end, 0s to 60s.")
    mode: Mode = Mode.RUN
    max_bytes: Size | None = Field(
        None, description="Most bytes that it may process; refused before it runs if it does."
    )
    result: ResultOptions = Field(default_factory=ResultOptions)
    on_budget: OnBudget = Field(
        OnBudget.REFUSE,
        description="Where the budget of the month has no money for it: `refuse`, or `wait` until "
        "there is some, at most until its timeout.",
    )


class EngineReply(Reply):
    name: str | None
    version: str | None
    image: str | None = Field(None, description="Of its pod; null where it is none.")
    canary: str | None = Field(
        None, description="Id of the canary whose image that is; null: the queue's own."
    )
    reason: str = Field(description="Why this engine.")


class RowsReply(Reply):
    low: int
    likely: int
    high: int | None = Field(description="null: no bound is known.")


class SecondsReply(Reply):
    low: float
    likely: float
    high: float | None


class TableUseReply(Reply):
    """What is read of one table."""

    name: str
    snapshot: str
    scans: int
    columns: list[str]
    bytes: int
    files: int
    files_kept: int
    partitions: int | None
    partitions_kept: int | None
    row_groups: int | None
    row_groups_kept: int | None


class EstimateReply(Reply):
    """Known before the run; what is billed is `price`, exactly."""

    bytes_processed: int
    exactness: str
    rows: RowsReply | None
    cu_seconds: SecondsReply | None
    price: MoneyReply | None
    tables: list[TableUseReply]


class WaitOptionReply(Reply):
    """What would start it now."""

    change: str = Field(description="`queue`, `priority` or `size`.")
    value: str
    detail: str
    price: MoneyReply | None = Field(description="Only where it would be another.")


class WaitReply(Reply):
    reason: str
    position: int = Field(description="In the order of its queue, from 1.")
    detail: str
    starts_at: str | None = Field(
        description="A guess, by how long the jobs of its queue took lately."
    )
    options: list[WaitOptionReply]


class ObstacleReply(Reply):
    """What keeps a pod of a living job from starting now; it goes on, or waits."""

    reason: str = Field(description="A code of docs/kubernetes.md.")
    message: str
    hint: str
    blame: str = Field(description="Whose it is: user, operator, platform.")
    again: str = Field(description="When it may be otherwise: never, larger, later, now.")
    executors: bool = Field(description="It is one of its executors.")


class ProgressReply(Reply):
    rows: int
    bytes: int
    fraction: float | None


class ColumnReply(Reply):
    name: str
    type: str = Field(description="Spark's DDL type.")
    nullable: bool


class ChunkReply(Reply):
    index: int
    rows: int
    bytes: int
    sha256: str = Field(description="Of the chunk's stored Arrow stream.")


class ResultReply(Reply):
    """What there is to fetch, with the first rows (1 MiB at most)."""

    columns: list[ColumnReply] = Field(alias="schema")
    rows: int
    bytes: int
    truncated: bool
    truncated_by: str | None
    expires_at: str | None
    chunks: list[ChunkReply]
    inline: list[list[Any]]


class UsageReply(Reply):
    bytes_processed: int
    cu_milliseconds: int


class LineReply(Reply):
    """One meter times its price."""

    meter: str
    quantity: int
    charged: int = Field(description="`quantity`, or the price's minimum.")
    unit: str
    price: str
    per: int = Field(description="Base units that `price` is for.")
    effective_from: str
    amount: str
    currency: str


class BillReply(MoneyReply):
    lines: list[LineReply]


class FailureReply(Reply):
    """What went wrong; `line` and `column` of the SQL text are from 1."""

    code: str
    message: str
    hint: str | None
    retryable: bool
    line: int | None = None
    column: int | None = None
    details: dict[str, Any] = Field(default_factory=dict)


class FindingReply(Reply):
    rule: str
    level: str
    message: str


class StepReply(Reply):
    state: JobState
    event: str
    at: str


class LinksReply(Reply):
    self: str
    result: str
    cancel: str
    events: str
    bill: str


class StatementSummary(Reply):
    """A statement as lists have it: `result` is null and `history` empty there."""

    id: str
    kind: str
    statement_type: str
    state: JobState
    terminal: bool
    project: str
    queue: str
    database: str
    labels: dict[str, str]
    priority: int = Field(description="Higher starts first.")
    parent: str | None = Field(description="The pipeline run that it belongs to.")
    node: str | None = Field(description="Which one there.")
    engine: EngineReply
    attempt: int
    created_at: str
    started_at: str | None
    ended_at: str | None
    estimate: EstimateReply | None
    wait: WaitReply | None = Field(description="Why it does not run yet.")
    obstacle: ObstacleReply | None = Field(None, description="Why its pods do not start.")
    timings_ms: dict[str, float]
    progress: ProgressReply
    result: ResultReply | None
    usage: UsageReply
    bill: BillReply | None = Field(description="null until the end; 0 unless it finished.")
    error: FailureReply | None
    history: list[StepReply]
    links: LinksReply


class StatementReply(StatementSummary):
    """The one envelope of statements."""

    sql: str
    findings: list[FindingReply]


class PlanReply(Reply):
    """The answer to the modes that run nothing."""

    id: None
    kind: str
    mode: Mode
    statement_type: str
    state: None
    terminal: bool
    project: str
    queue: str
    database: str
    engine: EngineReply
    reads: list[str]
    columns: list[str]
    estimate: EstimateReply | None
    findings: list[FindingReply]
    timings_ms: dict[str, float]
    plan: str | None = Field(description="Only for `explain`.")


class StatementsPage(Reply):
    items: list[StatementSummary]
    next_cursor: str | None


class KeptBillReply(BillReply):
    """A bill as it was settled."""

    statement: str
    state: str = Field(description="reserved, billed, released, or none where there was no price.")
    quoted: MoneyReply
    price_class: str | None
    priced_at: str | None
    settled_at: str | None
