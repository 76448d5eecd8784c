"""Requests and answers about webhooks."""

from __future__ import annotations

from pydantic import Field

from dli.api.schemas.fields import Body, Reply
from dli.api.schemas.statements import FailureReply
from jobs.lifecycle.spec import JobKind
from jobs.notices.spec import DeliveryState, NoticeEvent


class WebhookBody(Body):
    """A subscription; conditions that are not named hold always."""

    name: str
    url: str = Field(examples=["https://hooks.example.com/dli"])
    events: list[NoticeEvent] = Field(default_factory=list, description="All if none is named.")
    kinds: list[JobKind] = Field(default_factory=list, description="Of jobs.")
    labels: dict[str, str] = Field(default_factory=dict, description="Of jobs; all must fit.")


class WebhookReply(Reply):
    id: str
    name: str
    url: str
    events: list[NoticeEvent]
    kinds: list[JobKind]
    labels: dict[str, str]
    secret: str | None = Field(None, description="Signs the requests; in the first answer only.")
    created_at: str


class WebhooksPage(Reply):
    items: list[WebhookReply]
    next_cursor: str | None


class DeliveryReply(Reply):
    """One notification. It may arrive more than once: its id tells."""

    id: str
    event: NoticeEvent
    job: str | None
    state: DeliveryState
    attempts: int
    status: int | None = Field(description="HTTP status of the last answer.")
    error: FailureReply | None = Field(description="Of the last attempt.")
    next_at: str | None = Field(description="When it is tried again.")
    created_at: str
    ended_at: str | None


class DeliveriesPage(Reply):
    items: list[DeliveryReply]
    next_cursor: str | None
