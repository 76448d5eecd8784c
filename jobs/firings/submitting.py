"""Submits what is pending: the same job for the same firing, however often it is tried.

Level-triggered: it looks at rows. Who wrote the row may be dead, and so may be who submitted the
job a moment ago and could not say so: the idempotency key of the firing leads to that job again,
and when the key is forgotten, after a long silence, the label of the job does.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from jobs.crash import crash_point
from jobs.documents import Asked, JobDocuments, Submitter
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

_AT_ONCE = 32  # in one transaction
_CLAIM = timedelta(seconds=10)  # after which another may try; whoever does, it is one job
_PATIENCE = timedelta(hours=1)  # with full queues and databases that are away
_LONGEST_PAUSE = timedelta(minutes=1)
_MOST_ATTEMPTS = 200
_KEY_IS_KEPT = timedelta(hours=12)  # at least, so that until then the key alone is enough


#: Told of each firing that became a job: ``sch`` or ``trg``, and how long after it was due.
Lateness = Callable[[str, timedelta], None]


def nobody_asks(source: str, late: timedelta) -> None:
    """Where no metrics are kept."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Submits:
    """A tick that any replica may run, in several threads."""

    database: Database
    clock: Clock
    documents: JobDocuments
    authors: Authors
    news: FailedFirings
    lateness: Lateness = nobody_asks
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
            for firing, job_id in zip(claimed, self._together(claimed), strict=True):
                outcomes.append(self._attempt(firing, job_id))
        finally:
            # After a mistake of ours with one of them the rest are not made to wait with it.
            left = claimed[len(outcomes) + 1 :]
            self._settle([*outcomes, *(Outcome(firing=each, again_at=now) for each in left)])
        return len(claimed)

    def _together(self, claimed: Sequence[Firing]) -> Sequence[JobId | None]:
        """Submit those that can be by one transaction; None for each that is to be tried alone.

        One that may have been submitted before is: only then it is asked whether it was.
        """
        fresh = [firing for firing in claimed if firing.attempts == 1]
        found: dict[str, JobId] = {}
        try:
            with self.database.read() as tx:
                asked = {
                    firing.id: self._asked(
                        firing, self.authors.may_write(tx, firing.project_id, firing.user_id)
                    )
                    for firing in fresh
                }
            views = self.documents.submit_all(tuple(asked.values()))
        except ServiceError:  # told of the one that raises it, when that is tried alone
            return [None] * len(claimed)
        for firing_id, view in zip(asked, views, strict=True):
            if view is not None:
                found[firing_id] = view.job.id
        return [found.get(firing.id) for firing in claimed]

    def _attempt(self, firing: Firing, job_id: JobId | None) -> Outcome:
        """One try, whose outcome is not kept yet; ``job_id`` is there if it was submitted."""
        try:
            job_id = job_id or self._submit(firing)
        except IdempotencyConflictError as error:  # submitted by a version that read it otherwise
            job_id = JobId(str(error.details["job_id"]))
        except ServiceError as error:
            return self._failed(firing, error)
        crash_point("after_firing_submit")
        now = self.clock.now()
        self.lateness(firing.source_id.partition("_")[0], now - firing.due_at)
        fired = replace(firing, state=FiringState.FIRED, job_id=job_id, error=None, ended_at=now)
        return Outcome(firing=fired)

    def _asked(self, firing: Firing, may_write: bool) -> Asked:
        assert firing.document is not None, "a pending firing has its document"
        by = Submitter(
            project_id=firing.project_id,
            user_id=firing.user_id,
            may_write=may_write,
            labels={**firing.labels, LABEL_FIRING: firing.id},
        )
        return Asked(document=firing.document, by=by, key=f"firing-{firing.id}")

    def _submit(self, firing: Firing) -> JobId:
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
        asked = self._asked(firing, may_write)
        return self.documents.submit(asked.document, by=asked.by, key=asked.key).job.id

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
