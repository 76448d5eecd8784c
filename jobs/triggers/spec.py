"""What a trigger is: something that may happen, and a job document to submit when it does."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from jobs.documents import Document
from jobs.firings.references import JOB_END, OBJECT, WEBHOOK, Names
from jobs.lifecycle.spec import JobKind
from jobs.lifecycle.states import TERMINAL, JobState
from storage.base.errors import ConflictError, Failure, InvalidInputError, NotFoundError
from storage.base.ids import ProjectId, UserId

_NAME = re.compile(r"[a-z][a-z0-9_-]{0,62}")
LEAST_EVERY = timedelta(seconds=5)


class TriggerInvalidError(InvalidInputError):
    """A trigger has a value that it cannot have; ``field`` is in the details."""

    code = "trigger_invalid"


class TriggerMissingError(NotFoundError):
    """There is no trigger of that name in the project."""

    code = "trigger_not_found"


class TriggerExistsError(ConflictError):
    """The project has a trigger of that name already."""

    code = "trigger_exists"


class PayloadInvalidError(InvalidInputError):
    """The body of a webhook is not a JSON object."""

    code = "payload_invalid"


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectAppears:
    """A file below ``prefix`` that was not there, or is another than before."""

    prefix: str
    every: timedelta = timedelta(minutes=1)  #: how often is looked
    existing: bool = False  #: what is there already counts as new


@dataclass(frozen=True, slots=True, kw_only=True)
class HookCalled:
    """A signed request to the trigger's address."""


@dataclass(frozen=True, slots=True, kw_only=True)
class JobEnds:
    """A job that ends; an empty condition holds always. ``name`` is a batch's, task's, pipeline's.

    ``schedule`` is the name of the schedule that submitted it.
    """

    kinds: tuple[JobKind, ...] = ()
    states: tuple[JobState, ...] = ()
    labels: Mapping[str, str] = field(default_factory=dict)
    name: str | None = None
    schedule: str | None = None


Condition = ObjectAppears | HookCalled | JobEnds


@dataclass(frozen=True, slots=True, kw_only=True)
class Trigger:
    """One trigger. Its jobs run in the name of ``user_id``, who made it.

    ``secret`` is that of a webhook, told once. ``polled_at`` and ``error`` are of the last look for
    objects.
    """

    id: str  #: trg_…
    project_id: ProjectId
    name: str
    on: Condition
    document: Document
    user_id: UserId
    created_at: datetime
    paused: bool = False
    secret: str | None = field(default=None, repr=False)
    polled_at: datetime | None = None
    error: Failure | None = None

    @property
    def names(self) -> Names:
        """What references may stand in its document."""
        match self.on:
            case ObjectAppears():
                return OBJECT
            case HookCalled():
                return WEBHOOK
            case JobEnds():
                return JOB_END


def validated(trigger: Trigger) -> Trigger:
    """``trigger`` itself; raises ``TriggerInvalidError`` with the name of the field."""
    if not _NAME.fullmatch(trigger.name):
        raise TriggerInvalidError(
            f"{trigger.name!r} cannot name a trigger",
            hint="start with a letter; then letters, digits, - and _, at most 63, in lower case",
            field="name",
        )
    match trigger.on:
        case ObjectAppears(every=every) if not LEAST_EVERY <= every <= timedelta(days=1):
            raise TriggerInvalidError("objects are looked for every 5s to 1d", field="every")
        case JobEnds(states=states) if not TERMINAL.issuperset(states):
            raise TriggerInvalidError("a job ends finished, failed or cancelled", field="states")
        case _:
            return trigger
