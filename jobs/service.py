"""The one door to jobs: submit, watch, cancel, list."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from datetime import timedelta

from sqlalchemy import update

from jobs.accepting import Accepting, KeyTakenError
from jobs.cancelling import Cancelling
from jobs.changes import Changes
from jobs.errors import (
    EngineUnknownError,
    IdempotencyConflictError,
    JobMissingError,
    LeaseMissingError,
    RequestInvalidError,
    WriteForbiddenError,
)
from jobs.execution import lanes
from jobs.execution.execution import Execution
from jobs.execution.parts import Parts
from jobs.execution.recent import Recent
from jobs.execution.runner import Runner, Work
from jobs.execution.watch import Watch
from jobs.execution.workers import Workers
from jobs.history.histories import Histories
from jobs.keys import Keys
from jobs.launchers.api import LogPart, LogStream
from jobs.lifecycle.spec import RUNS, JobKind
from jobs.lifecycle.states import OWNED, JobState
from jobs.loops.adoption import Adoption
from jobs.loops.housekeeping import Housekeeping
from jobs.loops.orphans import Orphans
from jobs.loops.reaper import Reaper
from jobs.loops.runner import Loop
from jobs.loops.starter import Starter
from jobs.preparers import Preparers
from jobs.queues.canaries import QueueCanaries
from jobs.queues.definitions import (
    QueueChangedError,
    QueueDef,
    QueueExistsError,
    QueueFullError,
    QueueInUseError,
    QueueInvalidError,
    QueueMissingError,
)
from jobs.queues.known import KnownQueues
from jobs.queues.ledger import Ledger
from jobs.queues.money import Purse
from jobs.queues.rounds import Rounds
from jobs.queues.service import Queues
from jobs.reading import Reading
from jobs.settings import JobSettings
from jobs.statements.stopping import Stopping
from jobs.statements.work import run_statement
from jobs.store.jobs import job_of, renew_client
from jobs.store.rows import jobs
from jobs.submitting import Submitting
from jobs.usage import Quote
from jobs.views import (
    JobEvent,
    JobFilter,
    JobView,
    PlanView,
    Progress,
    StatementRequest,
    Terms,
    Wait,
)
from storage.base.ids import JobId, ProjectId, UserId
from storage.meta.paging import Page
from storage.results.manifest import Manifest

__all__ = [
    "EngineUnknownError", "IdempotencyConflictError", "JobEvent", "JobFilter", "JobMissingError",
    "JobService", "JobView", "Page", "PlanView", "Progress", "QueueChangedError", "QueueDef",
    "QueueExistsError", "QueueFullError", "QueueInUseError", "QueueInvalidError",
    "QueueMissingError", "RequestInvalidError", "StatementRequest", "Terms", "Wait",
    "WriteForbiddenError",
]  # fmt: skip

log = logging.getLogger(__name__)

_SWEEP = timedelta(minutes=10)
_LOOK = timedelta(seconds=2)  # between two questions to each cluster whether it is there


class JobService:
    """Jobs of all projects, as one replica sees them. Methods are safe to call from any thread."""

    def __init__(self, parts: Parts, preparers: Preparers) -> None:
        self._parts = parts
        self._recent = Recent(parts.clock)
        self._works: dict[JobKind, Work] = {JobKind.STATEMENT: run_statement}
        self._workers = Workers(
            seats=_seats(parts.settings),
            run=Runner(parts=parts, recent=self._recent, works=self._works).run,
            stop_work=Stopping(parts=parts).stop_work,
            ended=self._ended,
        )
        self._ledger = Ledger(
            database=parts.database,
            replica=parts.replica,
            engine_cu=parts.settings.held_cu,
            engine_memory=parts.settings.engine_memory,
            measure=parts.launcher.capacity if parts.settings.workers else None,
            shared=parts.launcher.place,
            clusters=parts.clusters,
        )
        self._reading = Reading(
            parts=parts, workers=self._workers, recent=self._recent, ledger=self._ledger
        )
        self._cancelling = Cancelling(parts=parts, workers=self._workers, reading=self._reading)
        self._keys = Keys(database=parts.database, get=self.get)
        #: What programs and statements used before.
        self.histories = Histories(database=parts.database, clock=parts.clock)
        known = KnownQueues(parts.database, parts.clock)
        #: New images of queues' engines.
        self.canaries = QueueCanaries(
            database=parts.database, clock=parts.clock, canaries=parts.canaries, known=known
        )
        #: Where jobs wait.
        self.queues = Queues(
            database=parts.database,
            clock=parts.clock,
            engine_cu=parts.settings.held_cu,
            canaries=self.canaries,
            known=known,
            room_changed=self._wake_starter,
        )
        purse = Purse(allowance=parts.ending.allowance)
        self._accepting = Accepting(
            parts=parts, workers=self._workers, ledger=self._ledger, purse=purse
        )
        self._submitting = Submitting(
            parts=parts, preparers=preparers, accepting=self._accepting, queues=self.queues.known
        )
        self._watch = Watch(parts=parts, workers=self._workers)
        self._starter = Starter(
            parts=parts, workers=self._workers, rounds=Rounds(ledger=self._ledger), purse=purse
        )
        self._orphans = Orphans(parts=parts, workers=self._workers)
        self._loops = self._make_loops()

    @property
    def accepting(self) -> Accepting:
        """Where kinds beside statements keep their jobs."""
        return self._accepting

    def add_kind(self, kind: JobKind, work: Work) -> None:
        """Say what an attempt at a job of this kind does; before the loops run."""
        self._works[kind] = work

    @property
    def changes(self) -> Changes:
        """Where to wait for a job's next step."""
        return self._parts.changes

    def submit(self, request: StatementRequest) -> JobView:
        """Prepare, price, reserve and keep a statement; start it here if its queue has room.

        Returns at once, before the statement runs. A refused statement raises its error with
        ``job_id`` in the details and is kept as a failed job. The same idempotency key and body
        give the same job again; another body raises ``IdempotencyConflictError``.
        """
        return self.once(request.terms, lambda: self._submitting.submit(request))

    def submit_all(self, requests: Sequence[StatementRequest]) -> Sequence[JobView | None]:
        """Submit many by one transaction: they wait, and the starter takes them in turn.

        None for each that must be submitted alone, by ``submit``: it would be refused, or its key
        was used; nothing of it was kept.
        """
        views = self._submitting.submit_all(requests)
        if any(view is not None for view in views):
            self._starter.others_wait = True
            self._wake_starter()
        return views

    def estimate(self, request: StatementRequest) -> PlanView:
        """What the statement touches and would cost; nothing is kept. Raises as ``submit``."""
        return self._submitting.plan(request, priced=True)

    def quote_of_nothing(self) -> Quote:
        """The price of work of which no meter has one: batches and tasks, whose use is metered."""
        parts = self._parts
        return parts.ending.allowance.quote(
            price_class="standard", quantities={}, at=parts.clock.now()
        )

    def validate(self, request: StatementRequest) -> PlanView:
        """Whether the statement is right: syntax, names, types and rights; caps do not matter."""
        return self._submitting.plan(request, priced=False)

    def explain(self, request: StatementRequest) -> PlanView:
        """As ``estimate``, with ``text``."""
        return self._submitting.plan(request, priced=True, explained=True)

    def get(self, project_id: ProjectId, job_id: JobId) -> JobView:
        """The whole job. Raises ``JobMissingError``, also for another project's."""
        return self._reading.view(project_id, job_id)

    def remembered(self, project_id: ProjectId, job_id: JobId) -> JobView | None:
        """As ``get``, without any I/O; None where this replica has to look at the rows."""
        return self._reading.remembered(project_id, job_id)

    def list(
        self, project_id: ProjectId, wanted: JobFilter, *, cursor: str | None, limit: int
    ) -> Page[JobView]:
        """Newest first. Raises ``InvalidCursorError``."""
        return self._reading.list(project_id, wanted, cursor=cursor, limit=limit)

    def cancel(self, project_id: ProjectId, job_id: JobId, *, by: UserId | None = None) -> JobView:
        """Ask for the end: a queued job is cancelled at once, a running one is ``cancelling``.

        A job at its end is returned as it is, and so is one that is cancelling already. ``by`` is
        who asks, for the history.
        """
        self._cancelling.cancel(project_id, job_id, by=by)
        return self.get(project_id, job_id)

    def events(
        self, project_id: ProjectId, job_id: JobId, *, after: int = 0
    ) -> tuple[JobEvent, ...]:
        """The steps with a version above ``after``, in order."""
        return self._reading.events(project_id, job_id, after=after)

    def renew(self, project_id: ProjectId, job_id: JobId) -> JobView:
        """The client of a job with a lease is there still.

        Raises ``LeaseMissingError`` for a job without one, or at its end.
        """
        with self._parts.database.transaction() as tx:
            job = job_of(self._reading.row(tx, project_id, job_id))
            lease = job.spec.lease
            until = self._parts.clock.now() + (lease.ttl if lease else timedelta(0))
            if lease is None or not renew_client(tx, job_id, until):
                raise LeaseMissingError(
                    f"job {job_id} has no lease to renew",
                    hint="submit it with a lease; one that ended needs none",
                    job_id=job_id,
                )
        return self.get(project_id, job_id)

    def log(
        self,
        project_id: ProjectId,
        job_id: JobId,
        *,
        stream: LogStream,
        attempt: int | None = None,
        offset: int = 0,
        most: int = 1 << 20,
    ) -> LogPart:
        """What a batch or task wrote, from ``offset`` on; empty at the end of what is there.

        ``attempt`` None: the last. Raises ``JobMissingError`` and, for other kinds or attempts
        that were not made, ``LogMissingError``.
        """
        return self._reading.log(
            project_id, job_id, stream=stream, attempt=attempt, offset=offset, most=most
        )

    def manifest(self, project_id: ProjectId, job_id: JobId) -> Manifest:
        """Of the result. Raises ``ResultMissingError`` and ``ResultExpiredError``."""
        return self._reading.manifest(project_id, job_id)

    def delete_result(self, project_id: ProjectId, job_id: JobId) -> None:
        """Remove the result's rows; the job stays. Twice is the same as once."""
        with self._parts.database.transaction() as tx:
            self._reading.row(tx, project_id, job_id)
            self._parts.results.delete(tx, job_id)
        self._recent.forget(job_id)

    def loops(self) -> tuple[Loop, ...]:
        """The background work of this replica; the caller gives each a thread."""
        return tuple(self._loops.values())

    def recover(self) -> int:
        """At the start of a replica whose name was used before: let go of what it owned then.

        Only for a name that nobody else can have now. Returns how many jobs will be tried again.
        """
        now = self._parts.clock.now()
        active = [execution.job.id for execution in self._workers.active()]
        with self._parts.database.transaction() as tx:
            left = tx.execute(
                update(jobs)
                .where(
                    jobs.c.owner == self._parts.replica,
                    jobs.c.id.not_in(active),
                    jobs.c.state.in_(sorted(state.value for state in OWNED)),
                )
                .values(lease_until=now - timedelta(milliseconds=1))
                .returning(jobs.c.id)
            ).all()
        self._loops["reaper"].wake.set()
        return len(left)

    def room_changed(self) -> None:
        """Somebody may start now who could not before."""
        self._wake_starter()

    def orphans(self) -> int:
        """How many processes that no job wanted were found and ended here, since the start."""
        return self._orphans.found

    def running(self) -> int:
        """How many statements run on this replica now."""
        return len(self._workers.active())

    def drain(self, timeout: timedelta) -> bool:
        """Take no more work, wait for what runs here, then hand the rest over to other replicas.

        True when everything had ended by itself. The service does not start anything afterwards;
        what is submitted still is kept for others.
        """
        self._workers.close()
        self._parts.shadows.close()
        self._let_go_of_runs()
        if self._workers.wait_idle(timeout, self._parts.clock):
            self._workers.shut()
            return True
        for execution in self._workers.active():
            log.info("job handed over", extra={"job": execution.job.id})
            execution.hand_over = True
            self._workers.stop(execution)
        grace = self._parts.settings.interrupt_grace * 2 + timedelta(seconds=2)
        self._workers.wait_idle(grace, self._parts.clock)
        self._workers.shut()
        return False

    def _let_go_of_runs(self) -> None:
        """Batches and tasks go on without a service for as long as their lease."""
        for execution in self._workers.active():
            if execution.job.kind in RUNS:
                log.info("run left to the next start", extra={"job": execution.job.id})
                execution.hand_over = True
                self._workers.stop(execution)

    def once(self, terms: Terms, submit: Callable[[], JobView]) -> JobView:
        """What ``submit`` gives, or the job that the terms' key stands for already.

        Raises ``IdempotencyConflictError``, and what the first submit with the key raised.
        """
        known = self._keys.known(terms)
        if known is not None:
            return known
        try:
            view = submit()
        except KeyTakenError:
            known = self._keys.known(terms)
            if known is None:
                raise
            return known
        if view.job.state is JobState.QUEUED:
            self._starter.others_wait = True
            self._wake_starter()
        return view

    def _ended(self, execution: Execution) -> None:
        """There is room now. Without anybody known to wait, the starter's own pace will do."""
        self._parts.changes.notify(execution.job.id)
        if self._starter.others_wait:
            self._wake_starter()

    def _wake_starter(self) -> None:
        self._loops["starter"].wake.set()

    def _make_loops(self) -> dict[str, Loop]:
        parts, settings = self._parts, self._parts.settings
        housekeeping = Housekeeping(parts=parts, ledger=self._ledger)
        often, runs_often = (
            settings.renew_every(kind) for kind in (JobKind.STATEMENT, JobKind.TASK)
        )
        #: name, tick, pause when idle, longest pause after failures: short where leases hang on it
        ticks = (
            ("starter", self._starter.tick, timedelta(milliseconds=250), timedelta(seconds=5)),
            ("watch", self._watch.tick, timedelta(milliseconds=50), timedelta(seconds=1)),
            ("leases", self._watch.renew, often, often),
            ("run_leases", self._watch.renew_runs, runs_often, runs_often),
            ("reaper", self._reaper().tick, timedelta(seconds=1), timedelta(seconds=5)),
            ("orphans", self._orphans.tick, timedelta(seconds=10), timedelta(minutes=1)),
            ("changes", parts.changes.poll, timedelta(milliseconds=250), timedelta(seconds=2)),
            ("engines", parts.pool.tick, timedelta(seconds=1), timedelta(seconds=10)),
            ("canaries", parts.canaries.tick, timedelta(seconds=2), timedelta(seconds=30)),
            ("capacity", housekeeping.report, timedelta(seconds=10), timedelta(seconds=30)),
            *self._clusters_loop(),
            ("expiry", parts.results.expire, timedelta(seconds=10), timedelta(minutes=1)),
            ("sweep", housekeeping.sweep, _SWEEP, _SWEEP),
        )
        made = {
            name: Loop(name=name, tick=tick, clock=parts.clock, idle=idle, worst=worst)
            for name, tick, idle, worst in ticks
        }
        shadows = Loop(
            name="shadows",
            tick=parts.shadows.tick,
            clock=parts.clock,
            idle=timedelta(seconds=30),
            wake=parts.shadows.wake,
        )
        return made | {"shadows": shadows}

    def _clusters_loop(self) -> tuple[tuple[str, Callable[[], int], timedelta, timedelta], ...]:
        """Nothing where there is one cluster: there is no other to go to."""
        clusters = self._parts.clusters
        if clusters is None or clusters.fleet is None:
            return ()
        return (("clusters", clusters.look, _LOOK, _LOOK),)

    def _reaper(self) -> Reaper:
        adoption = Adoption(parts=self._parts, workers=self._workers)
        return Reaper(parts=self._parts, adopt=adoption.adopt, runs_here=self._workers.runs_attempt)


def _seats(settings: JobSettings) -> dict[lanes.Lane, int]:
    return {
        lanes.STATEMENTS: settings.workers,
        lanes.RUNS: settings.run_workers,
        **dict.fromkeys(lanes.PIPELINES, settings.pipeline_workers),
    }
