"""Requests and answers about canaries of queues."""

from __future__ import annotations

from pydantic import Field

from dli.api.schemas.fields import Body, Reply
from jobs.canaries.spec import CanaryState, EndedFor
from jobs.canaries.trials import Outcome, TrialKind


class CanaryBody(Body):
    """A canary to start."""

    image: str = Field(description="Image of its engines, which nodes must be able to pull.")
    percent: int = Field(10, description="Per cent of the queue's statements that run on it.")
    shadow: int = Field(
        0,
        description="Per cent of the other queries that are run on it once more after their end, "
        "and compared.",
    )
    max_errors: int | None = Field(
        10,
        description="It is rolled back by itself above this per cent of errors, once there were "
        "five; null: never.",
    )


class CanaryChanges(Body):
    """What to change; what is not named stays."""

    percent: int | None = None
    shadow: int | None = None
    max_errors: int | None = Field(None, description="null: never.")


class SplitReply(Reply):
    """Statements that ran on the canary."""

    finished: int
    failed: int = Field(description="There, and not elsewhere later.")
    rescued: int = Field(description="There, and finished on the queue's own image.")


class ShadowReply(Reply):
    """Queries that the queue's own image had answered and the canary answered as well."""

    equal: int
    floats: int = Field(description="Equal when floating values are rounded to six digits.")
    unsure: int = Field(description="Different, but their order has ties: either may be right.")
    different: int
    error: int = Field(description="The canary gave no answer.")
    dropped: int = Field(description="Chosen, but not repeated: too many or too large.")


class RatiosReply(Reply):
    """Canary by the queue's own, over queries that both answered; null where there are none."""

    compared: int
    time_p50: float | None
    time_p95: float | None
    cost: float | None = Field(description="Milliseconds of compute units, by their sums.")


class FiguresReply(Reply):
    split: SplitReply
    shadow: ShadowReply
    errors: int = Field(description="`rescued` and `error`.")
    error_percent: float = Field(description="Of all that it met.")
    ratios: RatiosReply
    shadow_cu_ms: int = Field(
        description="Milliseconds of a compute unit that repeats took; nobody is billed for them."
    )


class TrialReply(Reply):
    """A statement that speaks against the canary."""

    statement: str
    kind: TrialKind
    outcome: Outcome
    at: str
    code: str | None = Field(description="Of the error.")
    message: str | None
    stable_rows: int | None
    canary_rows: int | None
    stable_digest: str | None = Field(description="Of the rows, whatever their order.")
    canary_digest: str | None


class CanaryReply(Reply):
    id: str
    queue: str
    image: str
    replaces: str | None = Field(description="The queue's own image; null: the service's.")
    percent: int
    shadow: int
    max_errors: int | None
    state: CanaryState
    started_at: str
    started_by: str = Field(description="Id of a user.")
    ended_at: str | None
    ended_by: str | None = Field(description="null: the service, or it runs.")
    ended_for: EndedFor | None
    figures: FiguresReply | None = Field(description="Of one that runs only where it is shown.")
    worst: list[TrialReply] = Field(description="Newest first; only where one is shown.")


class CanariesPage(Reply):
    items: list[CanaryReply]
    next_cursor: str | None
