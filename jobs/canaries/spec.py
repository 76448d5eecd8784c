"""What a canary is: a new image of a queue's engines beside its own. Values and the split only."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from storage.base.errors import ConflictError, InvalidInputError, NotFoundError, RefusedError
from storage.base.ids import CanaryId, JobId, ProjectId, UserId

#: A reference of an image: what containerd takes, without white space; longer is no name.
_IMAGE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/:@-]{0,510}")
_PARTS = 10_000  # of all jobs: a hundredth of a per cent


class CanaryInvalidError(InvalidInputError):
    """A canary has a value that it cannot have; ``field`` in the details names it."""

    code = "canary_invalid"


class CanaryMissingError(NotFoundError):
    """The queue has no canary that runs."""

    code = "canary_not_found"


class CanaryExistsError(ConflictError):
    """The queue has a canary already."""

    code = "canary_exists"


class CanaryNeedsPodsError(RefusedError):
    """Engines are processes of the service's machine here, and have no image."""

    code = "canary_needs_pods"


class CanaryState(StrEnum):
    """How far a canary is; what has ended never changes."""

    RUNNING = "running"
    PROMOTED = "promoted"  #: its image became the queue's
    ROLLED_BACK = "rolled_back"


class EndedFor(StrEnum):
    """What ended a canary."""

    ASKED = "asked"
    ERRORS = "errors"  #: more of them than it was allowed
    QUEUE_DELETED = "queue_deleted"


@dataclass(frozen=True, slots=True, kw_only=True)
class Canary:
    """One canary. Shares are whole per cents of the queue's statements."""

    id: CanaryId
    project_id: ProjectId
    queue: str
    image: str
    percent: int  #: of statements that run on it
    shadow: int  #: of the others' queries that are run on it once more and compared
    max_errors: int | None  #: per cent of errors above which it is rolled back; None: never
    replaces: str | None  #: the queue's own image at its start; None: the installation's
    started_at: datetime
    started_by: UserId
    state: CanaryState = CanaryState.RUNNING
    ended_at: datetime | None = None
    ended_by: UserId | None = None  #: None: the service itself
    ended_for: EndedFor | None = None
    figures: Mapping[str, Any] | None = None  #: its report, as it was at the end
    dropped: int = 0  #: queries that were to be compared, and were not


def checked(canary: Canary) -> Canary:
    """``canary`` itself. Raises ``CanaryInvalidError``."""
    if not _IMAGE.fullmatch(canary.image):
        raise CanaryInvalidError(
            f"{canary.image!r} is no reference of an image",
            hint="write it as registry/name:tag or name@sha256:…",
            field="image",
        )
    for name in ("percent", "shadow"):
        _within(name, getattr(canary, name), 0)
    if canary.max_errors is not None:
        _within("max_errors", canary.max_errors, 1)
    return canary


def _within(name: str, value: int, least: int) -> None:
    if not least <= value <= 100:
        raise CanaryInvalidError(f"{name} is {value}, must be from {least} to 100", field=name)


def falls_within(job_id: JobId, percent: int, *, of: str) -> bool:
    """Whether the job is among ``percent`` of all, by its id alone.

    So every replica says the same at any time, and one that is among some is among more. Choices
    ``of`` different names do not depend on each other.
    """
    hashed = hashlib.blake2b(f"{of}:{job_id}".encode(), digest_size=8).digest()
    return int.from_bytes(hashed) % _PARTS < percent * _PARTS // 100
