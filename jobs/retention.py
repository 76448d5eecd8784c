"""Forgets jobs, runs, logs and keys of long ago, a few at a time.

What money and usage are made of is never touched: charges, usage and labels stay, and of each job a
narrow row (``past_jobs``) by which reports are grouped. Results and uploaded files have spans of
their own. A job that another one needs still is kept: a node for as long as its run, a run for as
long as its backfill.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Select, delete, insert, literal, or_, select, update

from jobs.history.rows import history
from jobs.lifecycle.spec import RUNS, JobKind
from jobs.pipelines.rows import backfill_days, backfills, pipeline_nodes
from jobs.store import idempotency
from jobs.store.rows import job_events, job_plans, jobs, past_jobs
from jobs.store.run_rows import runs
from storage.base.clock import Clock
from storage.base.ids import JobId, new_id
from storage.meta.database import Database, Tx
from storage.objects.api import ObjectStore
from storage.results.results import Results

log = logging.getLogger(__name__)

#: Rows of one transaction: it holds the lock of SQLite's only writer for some milliseconds.
_AT_ONCE = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """How long after its end; ``logs`` of batches and tasks, at most as long as their jobs."""

    jobs: timedelta = timedelta(days=90)
    logs: timedelta = timedelta(days=30)
    keys: timedelta = timedelta(hours=24)  #: idempotency keys, after their first use


@dataclass(frozen=True, slots=True, kw_only=True)
class Retention:
    """A tick that any replica may run, beside others."""

    database: Database
    store: ObjectStore
    results: Results
    clock: Clock
    kept: Kept

    def tick(self) -> int:
        """Forget a few of each; how many."""
        now = self.clock.now()
        before = now - self.kept.jobs
        done = self._forget_logs(now, now - min(self.kept.logs, self.kept.jobs))
        done += sum(self._forget_jobs(kind, before) for kind in JobKind)
        with self.database.transaction() as tx:
            done += _forget_engines(tx, before) + idempotency.forget(
                tx, before=now - self.kept.keys
            )
        if done:
            log.info("old jobs and logs forgotten", extra={"count": done})
        return done

    def _forget_logs(self, now: datetime, before: datetime) -> int:
        """Objects first: what is marked is gone, and what is not is looked at again."""
        old = (
            select(runs.c.id, runs.c.job_id, runs.c.attempt)
            .where(
                runs.c.ended_at < before,
                runs.c.job_id.is_not(None),
                runs.c.log_removed_at.is_(None),
            )
            .limit(_AT_ONCE)
        )
        with self.database.read() as tx:
            found = tx.execute(old).all()
        for run in found:
            self._remove_objects(f"logs/{run.job_id}/{run.attempt}/")
        if found:
            with self.database.transaction() as tx:
                ids = [run.id for run in found]
                tx.execute(update(runs).where(runs.c.id.in_(ids)).values(log_removed_at=now))
        return len(found)

    def _remove_objects(self, prefix: str) -> None:
        for key in [info.key for info in self.store.list(prefix)]:
            self.store.delete(key)

    def _forget_jobs(self, kind: JobKind, before: datetime) -> int:
        """Those of a kind, by their ids, which sort by the time of the submit."""
        with self.database.read() as tx:
            ids = [JobId(job_id) for job_id in tx.execute(_old(kind, before)).scalars()]
        if not ids:
            return 0
        if kind in RUNS:
            for job_id in ids:
                self._remove_objects(f"logs/{job_id}/")
        with self.database.transaction() as tx:
            if kind is JobKind.STATEMENT:
                ids = self.results.forget(tx, ids)
            known = select(past_jobs.c.id).where(past_jobs.c.id == jobs.c.id).exists()
            narrow = select(*(jobs.c[column.name] for column in past_jobs.c))
            tx.execute(
                insert(past_jobs).from_select(
                    [column.name for column in past_jobs.c],
                    narrow.where(jobs.c.id.in_(ids), ~known),
                )
            )
            if kind is JobKind.STATEMENT:  # of programs the last runs count however long ago
                tx.execute(delete(history).where(history.c.job_id.in_(ids)))
            for table, column in _BESIDE:
                tx.execute(delete(table).where(column.in_(ids)))
        return len(ids)


def _forget_engines(tx: Tx, before: datetime) -> int:
    """Rows of engines, whose use is in rows of the jobs that they served."""
    old = select(runs.c.id).where(runs.c.ended_at < before, runs.c.job_id.is_(None))
    return tx.execute(delete(runs).where(runs.c.id.in_(old.limit(_AT_ONCE)))).rowcount


def _old(kind: JobKind, before: datetime) -> Select[str]:
    parent = jobs.alias("parent")
    orphan = ~select(literal(1)).where(parent.c.id == jobs.c.parent_id).exists()
    found = (
        select(jobs.c.id)
        .where(
            jobs.c.id > f"{kind.prefix}_",
            jobs.c.id < new_id(kind.prefix, before),
            jobs.c.ended_at < before,
            or_(jobs.c.parent_id.is_(None), orphan),
        )
        .order_by(jobs.c.id)
        .limit(_AT_ONCE)
    )
    if kind is not JobKind.PIPELINE:
        return found
    open_days = (
        select(literal(1))
        .join_from(backfill_days, backfills, backfills.c.id == backfill_days.c.backfill_id)
        .where(
            or_(backfill_days.c.run_id == jobs.c.id, backfill_days.c.resumes == jobs.c.id),
            backfills.c.ended_at.is_(None),
        )
    )
    return found.where(~open_days.exists())


#: The job's own row comes last, so that one that is left is found again.
_BESIDE = (
    (job_events, job_events.c.job_id),
    (job_plans, job_plans.c.job_id),
    (pipeline_nodes, pipeline_nodes.c.run_id),
    (runs, runs.c.job_id),
    (jobs, jobs.c.id),
)
