"""Taking a job in, whatever its kind: its key, its money and its row in one transaction.

What is special about a kind (how it is understood and priced) has happened before. A job starts at
once on this replica where its queue and the replica have room; else it waits for any starter.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from jobs.crash import crash_point
from jobs.errors import RequestInvalidError
from jobs.execution.execution import Execution
from jobs.execution.lanes import lane_of
from jobs.execution.parts import Parts
from jobs.execution.workers import Workers
from jobs.lifecycle.events import Claimed
from jobs.lifecycle.job import Job
from jobs.lifecycle.spec import RUNS, JobKind, JobSpec, RetryPolicy, StatementSpec
from jobs.lifecycle.states import JobState
from jobs.queues.admission import let_in, take_turns
from jobs.queues.definitions import QueueDef
from jobs.queues.demand import waiting_of
from jobs.queues.ledger import Ledger
from jobs.queues.money import PAUSE, Purse
from jobs.store import idempotency
from jobs.store.idempotency import KeyUse
from jobs.store.jobs import Step, Summary, add, first_step, next_step
from jobs.usage import Quote
from jobs.views import JobView, Terms
from sql.statement import PreparedStatement
from storage.base.errors import ConflictError, Failure, ServiceError
from storage.base.ids import JobId, new_id
from storage.meta.database import Tx

MOST_LABELS = 32  #: that a body or a pipeline may name
LABEL_NAME = re.compile(r"[a-zA-Z][a-zA-Z0-9_.-]{0,62}")
LONGEST_LABEL = 256
_MOST_TOGETHER = 3 * MOST_LABELS + 8  # of a node, its run and its pipeline, and the service's own
_MOST_ATTEMPTS = 10
_MOST_PAUSE = timedelta(hours=1)
_MOST_PRIORITY = 1000


class KeyTakenError(ConflictError):
    """Another request with the same idempotency key was first, just now."""

    code = "idempotency_key_taken"
    retryable = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """A job that is understood, and what is kept beside it. ``plan`` is of statements only."""

    job: Job
    plan: PreparedStatement | None = None
    summary: Summary = field(default_factory=Summary)
    timings: Mapping[str, float] = field(default_factory=dict)
    key: str | None = None
    body_hash: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Accepting:
    """The way in. Safe to call from any thread."""

    parts: Parts
    workers: Workers
    ledger: Ledger
    purse: Purse

    def new_job(
        self,
        kind: JobKind,
        spec: JobSpec,
        *,
        terms: Terms,
        queue: QueueDef,
        at: datetime,
        quote: Quote | None = None,
        cpu_millis: int = 0,
        memory_bytes: int = 0,
    ) -> Job:
        """The job that ``keep`` may take.

        Of what a batch or a task uses no meter has a price, so its quote and its bill are nothing.
        """
        if kind in RUNS and quote is None:
            quote = self.parts.ending.allowance.quote(
                price_class=queue.price_class, quantities={}, at=at
            )
        return Job(
            id=JobId(new_id(kind.prefix, at)),
            kind=kind,
            project_id=terms.project_id,
            user_id=terms.user_id,
            queue=queue.name,
            spec=spec,
            state=JobState.QUEUED,
            version=1,
            attempt=0,
            max_attempts=spec.retry.attempts,
            created_at=at,
            deadline=at + spec.timeout,
            quote=quote,
            priority=queue.default_priority if terms.priority is None else terms.priority,
            parent_id=terms.parent_id,
            node=terms.node,
            cpu_millis=queue.reserved(cpu_millis),
            memory_bytes=queue.reserved(memory_bytes),
            client_until=None if spec.lease is None else at + spec.lease.ttl,
        )

    def keep(self, offer: Offer) -> JobView:
        """Write the job, and start it if there is room.

        Raises ``KeyTakenError`` and what ``let_in`` and ``Allowance.reserve`` raise; nothing is
        kept then.
        """
        parts, job = self.parts, offer.job
        lane = lane_of(job.kind, job.depth)
        seat = self.workers.take_seats(lane)
        steps = [first_step(job)]
        timings = dict(offer.timings)
        try:
            with parts.database.transaction() as tx:
                # The turn of the queue is the first lock that is taken, so none waits for us here.
                entry = let_in(
                    self.ledger,
                    tx,
                    job,
                    room=bool(seat),
                    served=self._served(job),
                    now=job.created_at,
                )
                self._take_key(tx, offer)
                starts = entry.starts
                if not self.purse.pay(tx, job, entry.budget):
                    if entry.full is not None:
                        raise entry.full
                    starts, job = False, replace(job, not_before=job.created_at + PAUSE)
                    steps = [first_step(job)]
                if starts:
                    now = parts.clock.now()
                    lease = now + parts.settings.lease_of(job.kind)
                    claim = Claimed(
                        at=now, owner=parts.replica, lease_until=lease, cluster=entry.cluster
                    )
                    claimed = next_step(job, claim)
                    assert claimed is not None
                    steps.append(claimed)
                add(tx, steps, plan=offer.plan, summary=offer.summary, timings=timings)
                crash_point("in_submit_before_commit")
        except BaseException:
            self.workers.leave_seats(lane, seat)
            raise
        crash_point("after_submit")
        if starts:
            waited = (steps[1].at - job.created_at).total_seconds() * 1000
            timings["queue"] = round(max(waited - timings.get("prepare", 0.0), 0), 3)
            self.workers.start(
                Execution(steps[1].job, offer.plan, clock=parts.clock, timings=timings, story=steps)
            )
        else:
            self.workers.leave_seats(lane, seat)
        return _view(offer, steps, timings)

    def keep_all(self, offers: Sequence[Offer]) -> Sequence[JobView | None]:
        """Write many jobs by one transaction; all of them wait.

        None for each that ``keep`` would refuse, or whose key was used; nothing is kept of it.
        """
        if not offers:
            return ()
        views: list[JobView | None] = []
        with self.parts.database.transaction() as tx:
            places = {waiting_of(offer.job).place for offer in offers}
            take_turns(self.parts.database, tx, places)
            for offer in offers:
                try:
                    with tx.begin_nested():
                        views.append(self._kept(tx, offer))
                except ServiceError:
                    views.append(None)
            crash_point("in_submit_before_commit")
        crash_point("after_submit")
        return views

    def _kept(self, tx: Tx, offer: Offer) -> JobView:
        """Write a job that waits. Raises as ``keep``."""
        entry = let_in(self.ledger, tx, offer.job, room=False, now=offer.job.created_at)
        self._take_key(tx, offer)
        job = offer.job
        if not self.purse.pay(tx, job, entry.budget):
            job = replace(job, not_before=job.created_at + PAUSE)
        steps = [first_step(job)]
        add(tx, steps, plan=offer.plan, summary=offer.summary, timings=offer.timings)
        return _view(offer, steps, offer.timings)

    def keep_refused(self, offer: Offer, error: ServiceError) -> None:
        """Keep the job as one that failed at once, so that it can be listed and looked at."""
        refused = replace(
            offer.job,
            state=JobState.FAILED,
            ended_at=self.parts.clock.now(),
            failure=Failure.of(error),
            quote=None,
        )
        assert refused.ended_at is not None
        step = replace(first_step(refused), at=refused.ended_at)
        with self.parts.database.transaction() as tx:
            self._take_key(tx, replace(offer, job=refused))
            add(tx, [step], plan=None, summary=offer.summary)

    def _served(self, job: Job) -> bool:
        """Whether the engine that it wants lives here."""
        spec = job.spec
        engine = spec.engine if isinstance(spec, StatementSpec) else None
        return engine is not None and self.parts.pool.serves(
            project_id=job.project_id, queue=job.queue, engine=engine
        )

    def _take_key(self, tx: Tx, offer: Offer) -> None:
        if offer.key is None:
            return
        job = offer.job
        use = KeyUse(job_id=job.id, body_hash=offer.body_hash or "")
        if not idempotency.take(tx, job.project_id, offer.key, use=use, at=job.created_at):
            raise KeyTakenError("a request with this idempotency key was first", hint="ask again")


def _view(offer: Offer, steps: Sequence[Step], timings: Mapping[str, float]) -> JobView:
    return JobView(
        job=steps[-1].job,
        history=tuple(step.event for step in steps),
        cost=offer.summary.cost,
        findings=offer.summary.findings,
        timings=timings,
    )


def check_terms(terms: Terms) -> None:
    """Raise ``RequestInvalidError`` for what is wrong in what every kind may ask for."""
    if len(terms.labels) > _MOST_TOGETHER:
        raise _invalid("labels", f"there are more than {_MOST_TOGETHER} labels")
    if any(len(name) > 64 or len(value) > LONGEST_LABEL for name, value in terms.labels.items()):
        raise _invalid(
            "labels", f"a label has at most 64 characters, its value at most {LONGEST_LABEL}"
        )
    if terms.timeout is not None and terms.timeout <= timedelta(0):
        raise _invalid("timeout", "the timeout is not above zero")
    if terms.priority is not None and not -_MOST_PRIORITY <= terms.priority <= _MOST_PRIORITY:
        raise _invalid("priority", f"a priority is from -{_MOST_PRIORITY} to {_MOST_PRIORITY}")
    if terms.lease is not None and terms.lease.ttl < timedelta(seconds=1):
        raise _invalid("lease", "a client's lease lasts at least 1s")
    _check_retry(terms.retry)


def _check_retry(retry: RetryPolicy | None) -> None:
    if retry is None:
        return
    if not 1 <= retry.attempts <= _MOST_ATTEMPTS:
        raise _invalid("retry", f"attempts are from 1 to {_MOST_ATTEMPTS}")
    if not timedelta(0) <= retry.pause <= _MOST_PAUSE:
        raise _invalid("retry", "a pause is from 0s to 1h")


def least(first: int | None, second: int | None) -> int | None:
    """The lower of two caps, where None is no cap."""
    given = [value for value in (first, second) if value is not None]
    return min(given) if given else None


def _invalid(name: str, message: str) -> RequestInvalidError:
    return RequestInvalidError(message, field=name)
