"""Notifications: who wants to hear of what, and what is sent."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from typing import Any
from urllib.parse import urlsplit

from jobs.lifecycle.spec import JobKind
from storage.base.errors import ConflictError, Failure, InvalidInputError, NotFoundError
from storage.base.ids import JobId, ProjectId, UserId

NAME = re.compile(r"[a-z][a-z0-9_-]{0,62}")
_MOST_LABELS = 16


class WebhookInvalidError(InvalidInputError):
    """A webhook has a value that it cannot have; ``field`` is in the details."""

    code = "webhook_invalid"


class WebhookMissingError(NotFoundError):
    """There is no webhook of that name in the project."""

    code = "webhook_not_found"


class WebhookExistsError(ConflictError):
    """The project has a webhook of that name already."""

    code = "webhook_exists"


class NoticeEvent(StrEnum):
    """What can be heard of."""

    FINISHED = "job.finished"
    FAILED = "job.failed"
    CANCELLED = "job.cancelled"
    FIRING_FAILED = "firing.failed"  #: a schedule or trigger could not submit its job
    TEST = "test"  #: always sent


#: What a webhook that names no events hears of.
EVENTS = tuple(event for event in NoticeEvent if event is not NoticeEvent.TEST)


@dataclass(frozen=True, slots=True, kw_only=True)
class Webhook:
    """A subscription; an empty condition holds always. ``secret`` is told once, at its creation."""

    id: str  #: whk_…
    project_id: ProjectId
    name: str
    url: str
    user_id: UserId
    created_at: datetime
    events: tuple[NoticeEvent, ...] = EVENTS
    kinds: tuple[JobKind, ...] = ()
    labels: Mapping[str, str] = field(default_factory=dict)
    secret: str = field(repr=False)

    def wants(self, event: NoticeEvent, kind: JobKind | None, labels: Mapping[str, str]) -> bool:
        """Whether it is to hear of this."""
        fits = kind is None or not self.kinds or kind in self.kinds
        labelled = all(labels.get(name) == value for name, value in self.labels.items())
        return event in self.events and fits and labelled


class DeliveryState(StrEnum):
    """What became of a notification."""

    PENDING = "pending"
    DELIVERED = "delivered"
    DEAD = "dead"  #: given up


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """One notification to one target: at least once, told apart by its id."""

    id: str  #: dlv_…
    webhook_id: str
    project_id: ProjectId
    event: NoticeEvent
    job_id: JobId | None
    body: Mapping[str, Any]
    created_at: datetime
    state: DeliveryState = DeliveryState.PENDING
    attempts: int = 0
    next_at: datetime | None = None
    ended_at: datetime | None = None
    status: int | None = None  #: of the last answer
    error: Failure | None = None  #: of the last attempt


def validated(webhook: Webhook) -> Webhook:
    """``webhook`` itself; raises ``WebhookInvalidError`` with the name of the field."""
    if not NAME.fullmatch(webhook.name):
        raise _invalid("name", f"{webhook.name!r} cannot name a webhook", "use a-z, 0-9, _ and -")
    parts = _split(webhook.url)
    if parts.scheme not in ("http", "https") or not parts.hostname or len(webhook.url) > 2000:
        raise _invalid("url", "the address is not of the form https://host/path", None)
    if parts.username is not None or parts.password is not None:
        raise _invalid("url", "the address holds a password", "requests are signed instead")
    if len(webhook.labels) > _MOST_LABELS:
        raise _invalid("labels", f"there are more than {_MOST_LABELS} labels", None)
    if not webhook.events:
        return replace(webhook, events=EVENTS)
    if NoticeEvent.TEST in webhook.events:
        raise _invalid("events", "test is sent when it is asked for", None)
    return webhook


def _split(url: str) -> Any:
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError as error:
        raise _invalid("url", "the address cannot be read", "write https://host/path") from error
    return parts


def _invalid(name: str, message: str, hint: str | None) -> WebhookInvalidError:
    return WebhookInvalidError(message, hint=hint, field=name)
