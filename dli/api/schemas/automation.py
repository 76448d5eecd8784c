"""What schedules and triggers answer alike."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field

from dli.api.schemas.fields import Reply
from dli.api.schemas.statements import FailureReply
from jobs.firings.spec import FiringState, SkipReason

#: A job of any kind; its fields are checked as those of its own endpoint are.
JobDocument = Annotated[
    dict[str, Any],
    Field(
        description="A job document: `kind` and the fields that the API takes for that kind. "
        'Below `parameters`, `arguments` and `environment` values may be `{"ref": …}`.',
        examples=[
            {
                "kind": "statement",
                "sql": "SELECT count(*) FROM sales.orders WHERE day = :day",
                "parameters": {"day": {"ref": "due_date", "days": -1}},
            }
        ],
    ),
]


class FiringReply(Reply):
    """What became of one occasion."""

    id: str
    due_at: str
    state: FiringState = Field(
        description="`waiting` for the job before it, `pending`: about to be submitted."
    )
    reason: SkipReason | None = Field(description="Why it was skipped.")
    until: str | None = Field(description="It stands for all due times before this one.")
    job: str | None
    attempts: int = Field(description="How often the job was tried to be submitted.")
    error: FailureReply | None = Field(description="Of the last attempt.")
    created_at: str
    ended_at: str | None


class FiringsPage(Reply):
    items: list[FiringReply]
    next_cursor: str | None
