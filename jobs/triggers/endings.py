"""Triggers that ends of jobs pull, in the transaction that ends the job."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from jobs.firings import store as firing_store
from jobs.firings.errors import ChainTooLongError
from jobs.firings.references import resolve
from jobs.firings.spec import (
    LABEL_CHAIN,
    LABEL_SCHEDULE,
    LABEL_TRIGGER,
    Firing,
    FiringState,
)
from jobs.lifecycle.job import Job
from jobs.notices.outbox import job_name
from jobs.triggers import store
from jobs.triggers.spec import JobEnds, Trigger
from storage.base.clock import Clock
from storage.base.errors import Failure
from storage.base.ids import ProjectId, new_id
from storage.meta.database import Tx

LONGEST_CHAIN = 8
_KEPT = timedelta(seconds=1)  # how late a trigger made by another replica may come into force
_MOST = 10_000


@dataclass(slots=True, kw_only=True)
class Endings:
    """Knows for a second which project has such triggers: most have none, and jobs end often."""

    clock: Clock
    submits: threading.Event  #: wakes who submits
    _known: dict[ProjectId, tuple[float, tuple[Trigger, ...]]] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)  #: guards ``_known``

    def ended(self, tx: Tx, job: Job, *, at: datetime) -> None:
        """Write the firings that this end causes. A trigger is not pulled by a job of its own."""
        pulled = [
            trigger
            for trigger in self._triggers(tx, job.project_id)
            if isinstance(trigger.on, JobEnds) and fits(trigger.on, job) and not _own(trigger, job)
        ]
        if pulled:
            firing_store.add(tx, [_firing(trigger, job, at) for trigger in pulled])
            self.submits.set()  # before the commit: then it is found by the loop's own pace

    def forget(self) -> None:
        """Look again: a trigger was made, paused or deleted here."""
        with self._lock:
            self._known.clear()

    def _triggers(self, tx: Tx, project_id: ProjectId) -> tuple[Trigger, ...]:
        now = self.clock.monotonic()
        with self._lock:
            known = self._known.get(project_id)
        if known is not None and now - known[0] <= _KEPT.total_seconds():
            return known[1]
        found = store.on_jobs(tx, project_id)
        with self._lock:
            if len(self._known) >= _MOST:
                self._known.clear()
            self._known[project_id] = (now, found)
        return found


def fits(on: JobEnds, job: Job) -> bool:
    """Whether the end of ``job`` is what the condition speaks of."""
    labels = job.spec.labels
    return (
        (not on.kinds or job.kind in on.kinds)
        and (not on.states or job.state in on.states)
        and (on.name is None or on.name == job_name(job))
        and (on.schedule is None or on.schedule == labels.get(LABEL_SCHEDULE))
        and all(labels.get(name) == value for name, value in on.labels.items())
    )


def chain_of(job: Job) -> int:
    """How many triggers in a row led to the job."""
    text = job.spec.labels.get(LABEL_CHAIN, "0")
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 4 else 0


def _own(trigger: Trigger, job: Job) -> bool:
    return job.spec.labels.get(LABEL_TRIGGER) == trigger.name


def _firing(trigger: Trigger, job: Job, at: datetime) -> Firing:
    chain = chain_of(job) + 1
    too_long = ChainTooLongError(
        f"{chain - 1} triggers in a row led to job {job.id}",
        hint="do triggers pull each other?",
        trigger=trigger.name,
    )
    values = {
        "job_id": job.id,
        "job_state": job.state.value,
        "job_name": job_name(job),
        "due_at": at,
        "due_date": at.date(),
    }
    stopped = chain > LONGEST_CHAIN
    return Firing(
        id=new_id("fir", at),
        project_id=trigger.project_id,
        source_id=trigger.id,
        cause=job.id,
        due_at=at,
        state=FiringState.FAILED if stopped else FiringState.PENDING,
        user_id=trigger.user_id,
        created_at=at,
        document=resolve(trigger.document, values),
        labels={LABEL_TRIGGER: trigger.name, LABEL_CHAIN: str(chain)},
        error=Failure.of(too_long) if stopped else None,
    )
