"""Brings jobs on whose owner is silent, or whose time is over while nobody owns them."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Row, bindparam, select

from jobs.execution.parts import Parts
from jobs.lifecycle.events import CancelRequested, DeadlinePassed, LeaseExpired
from jobs.lifecycle.job import Job
from jobs.lifecycle.runs import cluster_of, cu_millis, run_id_of
from jobs.lifecycle.spec import RUNS, JobKind
from jobs.lifecycle.states import OWNED, JobState
from jobs.store import run_rows
from jobs.store.jobs import apply, job_of
from jobs.store.rows import jobs
from jobs.usage import COMPUTE_CU_MILLIS
from storage.base.ids import JobId
from storage.meta.database import Tx

log = logging.getLogger(__name__)

_AT_ONCE = 100
#: After its lease a run whose service is gone is killed by its warden, which takes this at most.
_RUN_DIES = timedelta(seconds=10)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reaper:
    """Ticks that any replica may run, at any time, as often as it likes.

    ``adopt`` takes over a job with the living run that this replica has of it. ``runs_here`` tells
    of an attempt that this replica is at: it was only late to renew the lease, as after the sleep
    of a laptop, and it is for others to hold it for dead.
    """

    parts: Parts
    adopt: Callable[[Job], bool]
    runs_here: Callable[[Job], bool]

    def tick(self) -> int:
        """Expired leases first, then jobs whose time or client is gone; how many it moved."""
        now = self.parts.clock.now()
        return self._expire_leases(now) + self._pass_deadlines(now) + self._miss_clients(now)

    def _expire_leases(self, now: datetime) -> int:
        with self.parts.database.read() as tx:
            rows = tx.execute(_EXPIRED, {"now": now}).all()
        return _each(rows, lambda row: self._expire(job_of(row), now))

    def _expire(self, seen: Job, now: datetime) -> bool:
        """The lease is looked at again in the transaction: its owner may just have renewed it."""
        parts = self.parts
        if seen.owner == parts.replica and self.runs_here(seen):
            return False
        if seen.kind is JobKind.PIPELINE and seen.state is JobState.CANCELLING:
            # Cancelled means stopped: somebody must see the jobs of its nodes end.
            return self.adopt(seen)
        if seen.kind in RUNS:
            if self.adopt(seen):
                return True
            assert seen.lease_until is not None
            if now < seen.lease_until + self._dies_within(seen):
                return False
        elif seen.state is JobState.CANCELLING and seen.run_id is not None:
            # Cancelled means stopped: nobody is left to see it, so the engine itself must end.
            reason = "its owner is gone"
            if not parts.launcher.stop(seen.run_id, grace=timedelta(0), reason=reason).state.ended:
                return False  # the next look tries again
        event = LeaseExpired(at=now, not_before=parts.backoff.not_before(seen, now))
        with parts.database.transaction() as tx:
            row = tx.execute(_LOCKED, {"job": seen.id}).first()
            if row is None or row.version != seen.version or row.lease_until >= now:
                return False
            after = apply(tx, job_of(row), event)
            parts.ending.close(tx, after, used=_used(parts, tx, seen), at=now)
            if seen.kind is JobKind.STATEMENT:
                parts.tables.abandon(tx, seen.id, attempt=seen.attempt)
        self._tell(after.id, "lease expired", after.state)
        return True

    def _dies_within(self, seen: Job) -> timedelta:
        """The most time from the end of the job's lease to that of its run, which is not seen.

        Nobody renews it. The lease of a job of our own was ended before its time (``recover``), and
        where the cluster does not answer the run may go on for what was left of it.
        """
        parts = self.parts
        if seen.owner != parts.replica:
            return _RUN_DIES
        fleet = None if parts.clusters is None else parts.clusters.fleet
        known = parts.launcher.answers() if fleet is None else fleet.reaches(_cluster_of(seen))
        return timedelta(0) if known else parts.settings.lease_of(seen.kind) + _RUN_DIES

    def _pass_deadlines(self, now: datetime) -> int:
        with self.parts.database.read() as tx:
            rows = tx.execute(_OVERDUE, {"now": now}).all()
        return _each(rows, lambda row: self._pass_deadline(JobId(row.id), now))

    def _pass_deadline(self, job_id: JobId, now: datetime) -> bool:
        with self.parts.database.transaction() as tx:
            row = tx.execute(_LOCKED, {"job": job_id}).first()
            if row is None or row.state != JobState.QUEUED.value:
                return False
            after = apply(tx, job_of(row), DeadlinePassed(at=now))
            self.parts.ending.close(tx, after, used={}, at=now)
        self._tell(job_id, "deadline passed", after.state)
        return True

    def _miss_clients(self, now: datetime) -> int:
        with self.parts.database.read() as tx:
            rows = tx.execute(_CLIENT_GONE, {"now": now}).all()
        return _each(rows, lambda row: self._miss_client(JobId(row.id), now))

    def _miss_client(self, job_id: JobId, now: datetime) -> bool:
        """An owner finds the cancel in the row, as it does another replica's."""
        with self.parts.database.transaction() as tx:
            row = tx.execute(_LOCKED, {"job": job_id}).first()
            if row is None or row.client_until is None or row.client_until >= now:
                return False
            job = job_of(row)
            if job.state.terminal or job.state is JobState.CANCELLING:
                return False
            after = apply(tx, job, CancelRequested(at=now, client_gone=True))
            if after.state.terminal:
                self.parts.ending.close(tx, after, used={}, at=now)
        self._tell(job_id, "client gone", after.state)
        return True

    def _tell(self, job_id: JobId, what: str, state: JobState) -> None:
        log.warning("job reaped", extra={"job": job_id, "what": what, "state": state.value})
        self.parts.changes.notify(job_id)


def _cluster_of(job: Job) -> str:
    return cluster_of(run_id_of(job))


def _each(rows: Sequence[Row[Any]], work: Callable[[Row[Any]], bool]) -> int:
    """How many rows ``work`` moved; one that it cannot move strands none of the others."""
    moved, broken = 0, None
    for row in rows:
        try:
            moved += work(row)
        except Exception as error:  # noqa: BLE001  raised again below, for the loop to tell
            broken = error
    if broken is not None:
        raise broken
    return moved


def _used(parts: Parts, tx: Tx, job: Job) -> dict[str, int]:
    """What a lost run is known to have used: until its owner was last heard of."""
    if job.kind not in RUNS or job.started_at is None or job.lease_until is None:
        return {}
    heard = job.lease_until - parts.settings.lease_of(job.kind)
    run_rows.end_run(
        tx, run_id_of(job), at=parts.clock.now(), exit_code=None, reason="its service died"
    )
    millis = max((heard - job.started_at) // timedelta(milliseconds=1), 0)
    return {COMPUTE_CU_MILLIS: cu_millis(job, milliseconds=millis)}


_CLIENT_GONE = (
    select(jobs.c.id)
    .where(
        jobs.c.client_until < bindparam("now"),
        jobs.c.state.in_(sorted(state.value for state in JobState if not state.terminal)),
    )
    .limit(_AT_ONCE)
)
_EXPIRED = (
    select(jobs)
    .where(
        jobs.c.state.in_(sorted(state.value for state in OWNED)),
        jobs.c.lease_until < bindparam("now"),
    )
    .limit(_AT_ONCE)
)
_OVERDUE = (
    select(jobs.c.id)
    .where(jobs.c.state == JobState.QUEUED.value, jobs.c.deadline < bindparam("now"))
    .limit(_AT_ONCE)
)
_LOCKED = select(jobs).where(jobs.c.id == bindparam("job")).with_for_update()
