"""What a request with an idempotency key gets that was made before."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from jobs.errors import IdempotencyConflictError
from jobs.lifecycle.states import JobState
from jobs.store import idempotency
from jobs.views import JobView, Terms
from storage.base.errors import Failure, ServiceError
from storage.base.ids import JobId, ProjectId
from storage.meta.database import Database


@dataclass(frozen=True, slots=True, kw_only=True)
class Keys:
    """Of all projects. Safe to call from any thread."""

    database: Database
    get: Callable[[ProjectId, JobId], JobView]

    def known(self, terms: Terms) -> JobView | None:
        """The job that the key of the terms stands for, if there is one already.

        Raises ``IdempotencyConflictError`` for another request, else what the first one raised.
        """
        if terms.idempotency_key is None:
            return None
        with self.database.read() as tx:
            use = idempotency.find(tx, terms.project_id, terms.idempotency_key)
        if use is None:
            return None
        if use.body_hash != (terms.body_hash or ""):
            raise IdempotencyConflictError(
                "this idempotency key was used for another request",
                hint="choose a new key",
                job_id=use.job_id,
            )
        view = self.get(terms.project_id, use.job_id)
        job = view.job
        if job.state is JobState.FAILED and job.version == 1 and job.failure is not None:
            raise _told_again(job.failure, job.id)
        return view


def _told_again(failure: Failure, job_id: JobId) -> ServiceError:
    """The error that a refused statement raised, from its stored form."""
    kind = next((each for each in _kinds(ServiceError) if each.code == failure.code), None)
    places = {"line": failure.line, "column": failure.column}
    details = failure.details | {name: at for name, at in places.items() if at is not None}
    details["job_id"] = job_id
    made = (kind or ServiceError)(failure.message, hint=failure.hint)
    made.details = details
    return made


def _kinds(base: type[ServiceError]) -> list[type[ServiceError]]:
    found = [base]
    for kind in base.__subclasses__():
        found += _kinds(kind)
    return found
