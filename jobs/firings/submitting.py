"""Submits what is pending: the same job for the same firing, however often it is tried.

Level-triggered: it looks at rows. Who wrote the row may be dead, and so may be who submitted the
job a moment ago and could not say so: the idempotency key of the firing leads to that job again,
and when the key is forgotten, after a long silence, the label of the job does.
"""

from __future__ import annotations

import logging
import threading
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from jobs.crash import crash_point
from jobs.documents import JobDocuments, Submitter
from jobs.errors import IdempotencyConflictError
from jobs.firings import store
from jobs.firings.errors import SubmitFailedError
from jobs.firings.spec import (
    LABEL_FIRING,
    Authors,
    FailedFirings,
    Firing,
    FiringState,
)
from jobs.firings.store import Outcome
from storage.base.clock import Clock
from storage.base.errors import Failure, ServiceError
from storage.base.ids import JobId
from storage.meta.database import Database

log = logging.getLogger(__name__)

_AT_ONCE = 5  # so that a stop does not wait long
_CLAIM = timedelta(seconds=10)  # after which another may try; whoever does, it is one job
_PATIENCE = timedelta(hours=1)  # with full queues and databases that are away
_LONGEST_PAUSE = timedelta(minutes=1)
_MOST_ATTEMPTS = 200
_KEY_IS_KEPT = timedelta(hours=12)  # at least, so that until then the key alone is enough


@dataclass(frozen=True, slots=True, kw_only=True)
class Submits:
    """A tick that any replica may run, in several threads."""

    database: Database
    clock: Clock
    documents: JobDocuments
    authors: Authors
    news: FailedFirings
    wake: threading.Event = field(default_factory=threading.Event)  #: something may be pending

    def tick(self) -> int:
        """Submit some of what is pending; how many it took."""
        now = self.clock.now()
        with self.database.read() as tx:
            if not store.any_pending(tx, now=now):
                return 0
        with self.database.transaction() as tx:
            claimed = store.claim(tx, now=now, until=now + _CLAIM, most=_AT_ONCE)
        outcomes: list[Outcome] = []
        try:
            for firing in claimed:
                outcomes.append(self._attempt(firing))
        finally:
            # After a mistake of ours with one of them the rest are not made to wait with it.
            left = claimed[len(outcomes) + 1 :]
            self._settle([*outcomes, *(Outcome(firing=each, again_at=now) for each in left)])
        return len(claimed)

    def _attempt(self, firing: Firing) -> Outcome:
        """One try, whose outcome is not kept yet."""
        try:
            job_id = self._submit(firing)
        except IdempotencyConflictError as error:  # submitted by a version that read it otherwise
            job_id = JobId(str(error.details["job_id"]))
        except ServiceError as error:
            return self._failed(firing, error)
        crash_point("after_firing_submit")
        now = self.clock.now()
        fired = replace(firing, state=FiringState.FIRED, job_id=job_id, error=None, ended_at=now)
        return Outcome(firing=fired)

    def _submit(self, firing: Firing) -> JobId:
        assert firing.document is not None, "a pending firing has its document"
        with self.database.read() as tx:
            if firing.created_at < self.clock.now() - _KEY_IS_KEPT:
                known = store.job_of(tx, firing.project_id, firing.id)
                if known is not None:
                    return known
            may_write = self.authors.may_write(tx, firing.project_id, firing.user_id)
        if firing.attempts > _MOST_ATTEMPTS:
            raise SubmitFailedError(
                f"not submitted in {_MOST_ATTEMPTS} attempts", hint="the service's log says why"
            )
        by = Submitter(
            project_id=firing.project_id,
            user_id=firing.user_id,
            may_write=may_write,
            labels={**firing.labels, LABEL_FIRING: firing.id},
        )
        return self.documents.submit(firing.document, by=by, key=f"firing-{firing.id}").job.id

    def _failed(self, firing: Firing, error: ServiceError) -> Outcome:
        now = self.clock.now()
        told = replace(firing, error=Failure.of(error))
        if error.retryable and now < firing.created_at + _PATIENCE:
            pause = min(timedelta(seconds=2 ** min(firing.attempts - 1, 10)), _LONGEST_PAUSE)
            return Outcome(firing=told, again_at=now + pause)
        job_id = error.details.get("job_id")
        return Outcome(
            firing=replace(
                told,
                state=FiringState.FAILED,
                job_id=JobId(job_id) if isinstance(job_id, str) else None,
                ended_at=now,
            )
        )

    def _settle(self, outcomes: list[Outcome]) -> None:
        if not outcomes:
            return
        now = self.clock.now()
        with self.database.transaction() as tx:
            for outcome in outcomes:
                kept = store.settle(tx, outcome)
                if kept and outcome.firing.state is FiringState.FAILED:
                    self.news.firing_failed(tx, outcome.firing, at=now)
        for outcome in outcomes:
            _tell(outcome, now)


def _tell(outcome: Outcome, now: datetime) -> None:
    firing = outcome.firing
    extra = {"firing": firing.id, "source": firing.source_id, "job": firing.job_id}
    if firing.state is FiringState.FIRED:
        log.info("job fired", extra=extra)
        return
    code = None if firing.error is None else firing.error.code
    level = logging.INFO if outcome.again_at is not None else logging.WARNING
    log.log(level, "firing failed", extra={**extra, "code": code, "again": outcome.again_at})
