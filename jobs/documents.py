"""Jobs as JSON documents of any kind: what schedules, triggers and pipelines hold and submit.

A document is ``{"kind": "statement" | "batch" | "task" | "pipeline", …}`` with the fields that the
API takes for that kind. This package neither knows nor copies these fields.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from jobs.usage import Quote
from jobs.views import JobView
from storage.base.ids import JobId, ProjectId, UserId

Document = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Submitter:
    """In whose name a document is submitted, and as part of what.

    ``labels`` are added to the document's own.
    """

    project_id: ProjectId
    user_id: UserId
    may_write: bool
    parent_id: JobId | None = None
    node: str | None = None
    labels: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """One of several documents to submit; see ``JobDocuments.submit``."""

    document: Document
    by: Submitter
    key: str


class JobDocuments(Protocol):
    """Reads and submits documents."""

    def check(self, document: Document, project_id: ProjectId) -> None:
        """Raise ``RequestInvalidError`` that names the field which is wrong.

        The uploaded files that it names must be there in the project; this is a use of them.
        """

    def submit(self, document: Document, *, by: Submitter, key: str) -> JobView:
        """Submit the job, once for each ``key`` (an idempotency key of the project).

        Raises what the submit of that kind raises; a refusal carries ``job_id`` in its details.
        """

    def submit_all(self, asked: Sequence[Asked]) -> Sequence[JobView | None]:
        """Submit many at once, which costs less than one by one.

        None for each that has to be submitted alone: nothing was done of it, and nothing is said of
        why. Those that were submitted wait in their queues, whatever room there is.
        """

    def estimate(self, document: Document, *, by: Submitter) -> Quote | None:
        """The price before the run; None for a job that has none. Raises as ``submit``."""
