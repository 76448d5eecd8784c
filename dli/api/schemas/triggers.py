"""Requests and answers about triggers."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from dli.api.schemas.automation import JobDocument
from dli.api.schemas.fields import Body, Reply, Span
from dli.api.schemas.statements import FailureReply
from jobs.lifecycle.spec import JobKind
from jobs.lifecycle.states import JobState

#: How a job ends: ``TERMINAL``.
Ended = Literal[JobState.FINISHED, JobState.FAILED, JobState.CANCELLED]


class ObjectBody(Body):
    """A file that appears below a prefix, or is written again."""

    type: Literal["object"]
    prefix: str = Field(examples=["s3://landing/orders/", "/data/in/*.parquet"])
    every: Span | None = Field(None, description="How often is looked, 5s to 1d; 1m.")
    existing: bool = Field(False, description="What is there already counts as new.")


class WebhookBody(Body):
    """A signed request to `/hooks/{id}`."""

    type: Literal["webhook"]


class JobEndBody(Body):
    """A job that ends; conditions that are not named hold always."""

    type: Literal["job"]
    kinds: list[JobKind] = Field(default_factory=list)
    states: list[Ended] = Field(default_factory=list)
    labels: dict[str, str] = Field(default_factory=dict)
    name: str | None = Field(None, description="Of a batch, a task or a pipeline.")
    schedule: str | None = Field(None, description="The schedule that submitted it.")


class TriggerBody(Body):
    """A trigger to create: what must happen, and the job to submit then."""

    name: str
    on: Annotated[ObjectBody | WebhookBody | JobEndBody, Field(discriminator="type")]
    job: JobDocument
    paused: bool = False


class TriggerReply(Reply):
    id: str
    name: str
    on: dict[str, Any]
    job: dict[str, Any]
    paused: bool
    author: str
    hook: str | None = Field(description="Where signed requests go.")
    secret: str | None = Field(None, description="Of a webhook; in the first answer only.")
    polled_at: str | None = Field(description="The last good look for objects.")
    error: FailureReply | None = Field(description="Of the last look, if it failed.")
    created_at: str


class TriggersPage(Reply):
    items: list[TriggerReply]
    next_cursor: str | None


class HookReply(Reply):
    """What a signed request caused; the same again for the same delivery."""

    firing: str
    state: str
