"""One attempt at one job, from its claim to its end. Runs on a worker thread."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from jobs.crash import crash_point
from jobs.engines.errors import EngineOutOfMemoryError
from jobs.execution.execution import AttemptLostError, CancellingError, Execution
from jobs.execution.outcome import Outcome
from jobs.execution.parts import Parts
from jobs.execution.recent import Recent
from jobs.lifecycle.events import Failed, Fault, HandedOver, Published, ResultReady, Stopped
from jobs.lifecycle.job import Job
from jobs.lifecycle.spec import RUNS, JobKind
from jobs.lifecycle.states import JobState
from jobs.store.jobs import keep_facts
from storage.base.errors import (
    BrokenError,
    Failure,
    InvalidInputError,
    ServiceError,
    UnavailableError,
)
from storage.meta.database import Tx
from storage.tables.errors import PartialWriteError

log = logging.getLogger(__name__)

_MOST_MOVES = 10  # of a job, from one cluster that does not answer to the next

#: What a kind of job does between its claim and its end. It raises ``ServiceError``; whatever it
#: started has ended when it returns or raises.
Work = Callable[[Parts, Execution], Outcome]


class JobBrokenError(BrokenError):
    """The service itself failed on the job; its log has the cause."""

    code = "job_broken"


class AttemptFailedError(InvalidInputError):
    """An attempt ended without success, by its own doing or another's: ``fault`` says whose.

    ``memory_bytes`` is what the next attempt shall reserve, where that is more.
    """

    code = "attempt_failed"

    def __init__(
        self, message: str, *, fault: Fault, memory_bytes: int | None = None, **given: Any
    ) -> None:
        super().__init__(message, **given)
        self.unanswered: str | None = None  #: the cluster that was asked in vain to start the run
        self.fault = fault
        self.memory_bytes = memory_bytes


def fault_of(error: ServiceError, job: Job) -> Fault:
    """What another attempt may mend is the platform's; all else would fail the same way again.

    An engine without memory may have been brought down by another statement on it, or by whoever
    killed it, so the first time it is the platform's.
    """
    if isinstance(error, AttemptFailedError):
        return error.fault
    if isinstance(error, EngineOutOfMemoryError):
        return Fault.PLATFORM if job.attempt < 2 else Fault.USER
    mends = isinstance(error, UnavailableError | PartialWriteError)
    return Fault.PLATFORM if mends else Fault.USER


@dataclass(frozen=True, slots=True, kw_only=True)
class Runner:
    """Brings an execution to an end that is written down, or leaves it to the reaper."""

    parts: Parts
    recent: Recent
    works: Mapping[JobKind, Work]

    def run(self, execution: Execution) -> None:
        """Never raises. What cannot be written is left to the reaper, when the lease is over."""
        crash_point("after_claim")
        job_id = execution.job.id
        try:
            try:
                self._attempt(execution)
            except AttemptLostError:
                raise
            except ServiceError as error:
                self._end(execution, error)
            except Exception:
                log.exception("job broke", extra={"job": job_id})
                broken = JobBrokenError("the service failed on the job", job_id=job_id)
                self._end(execution, broken)
            if execution.after_the_end is not None:
                execution.after_the_end()
        except AttemptLostError as error:
            log.warning("attempt lost", extra={"job": job_id, "code": error.code})
        except Exception:
            log.exception("job left to the reaper", extra={"job": job_id})

    def _attempt(self, execution: Execution) -> None:
        outcome = self.works[execution.job.kind](self.parts, execution)
        crash_point("before_publish")
        execution.step(ResultReady(at=self.parts.clock.now()))
        if execution.job.kind in RUNS:
            execution.patiently(partial(self._publish, execution, outcome))
        else:
            self._publish(execution, outcome)
        crash_point("after_commit")
        log.info(
            "job finished",
            extra={"job": execution.job.id, "ms": execution.timings.get("total")},
        )

    def _publish(self, execution: Execution, outcome: Outcome) -> None:
        parts = self.parts
        job = execution.job
        at = parts.clock.now()
        if job.quote is not None:
            execution.used |= job.quote.quantities
        execution.timings["total"] = round((at - job.created_at).total_seconds() * 1000, 3)
        with execution.finishing(parts.database, Published(at=at)) as tx:
            if outcome.manifest is not None:
                parts.results.save(
                    tx,
                    job_id=job.id,
                    project_id=job.project_id,
                    attempt=job.attempt,
                    manifest=outcome.manifest,
                    expires_at=at + job.statement.result_ttl,
                )
            if outcome.facts is not None:
                keep_facts(tx, job.id, outcome.facts)
            if outcome.commit is not None:
                outcome.commit(tx)
                crash_point("in_write_before_commit")
            _keep_beside(execution, tx)
            parts.ending.close(tx, execution.job, used=execution.used, at=at)
            crash_point("in_publish_before_commit")
        self._remember(execution, outcome)

    def _remember(self, execution: Execution, outcome: Outcome) -> None:
        """Who waits for the end asks for the job at once: spare the rows."""
        view = execution.view()
        if view is None or view.job.ended_at is None or outcome.manifest is None:
            return
        expires_at = view.job.ended_at + view.job.statement.result_ttl
        manifest = replace(outcome.manifest, expires_at=expires_at)
        self.recent.put(replace(view, manifest=manifest, result_expires_at=expires_at))

    def _end(self, execution: Execution, error: ServiceError) -> None:
        """End the attempt without a result: cancelled, handed over, failed or to be tried again."""
        parts = self.parts
        at = parts.clock.now()
        job = execution.job
        event: Stopped | HandedOver | Failed
        if job.state is JobState.CANCELLING:
            crash_point("before_cancelled")
            event = Stopped(at=at)
            if execution.stopped_at is not None:
                took = parts.clock.monotonic() - execution.stopped_at
                execution.timings["cancel"] = round(took * 1000, 3)
        elif execution.hand_over:
            event = HandedOver(at=at)
        elif (cluster := _unanswered(error, job)) is not None:
            event = HandedOver(at=at, unanswered=cluster)
        else:
            event = Failed(
                at=at,
                failure=Failure.of(error),
                fault=Fault.PLATFORM if execution.on_canary else fault_of(error, job),
                not_before=at if execution.on_canary else parts.backoff.not_before(job, at),
                memory_bytes=error.memory_bytes if isinstance(error, AttemptFailedError) else None,
            )
        execution.timings["total"] = round((at - job.created_at).total_seconds() * 1000, 3)
        try:
            with execution.finishing(parts.database, event) as tx:
                _keep_beside(execution, tx)
                parts.ending.close(tx, execution.job, used=execution.used, at=at)
                if execution.writes_table:
                    parts.tables.abandon(tx, job.id, attempt=job.attempt)
        except CancellingError:
            self._end(execution, error)  # somebody cancelled it meanwhile: now it is Stopped
            return
        if job.kind is JobKind.STATEMENT:
            parts.results.discard(job.project_id, job.id, job.attempt)
        log.info(
            "attempt ended",
            extra={"job": job.id, "state": execution.job.state.value, "code": error.code},
        )


def _unanswered(error: ServiceError, job: Job) -> str | None:
    """The cluster that did not even hear of the run, which another may take; a few times."""
    moves = job.max_attempts - job.spec.retry.attempts
    moved = isinstance(error, AttemptFailedError) and moves < _MOST_MOVES
    return error.unanswered if moved and isinstance(error, AttemptFailedError) else None


def _keep_beside(execution: Execution, tx: Tx) -> None:
    if execution.beside_the_end is not None:
        execution.beside_the_end(tx)
