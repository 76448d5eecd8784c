"""The life of a job: one pure function over one table. Nothing else assigns a state."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from jobs.lifecycle.events import (
    Adopted,
    CancelRequested,
    Claimed,
    DeadlinePassed,
    EngineReady,
    Event,
    Failed,
    Fault,
    HandedOver,
    LeaseExpired,
    Published,
    ResultReady,
    Stopped,
)
from jobs.lifecycle.job import CancelReason, Job
from jobs.lifecycle.retry import may_retry
from jobs.lifecycle.spec import JobKind
from jobs.lifecycle.states import JobState
from storage.base.errors import ConflictError, Failure

TIMEOUTS = {kind: f"{kind.value}_timeout" for kind in JobKind}  #: failure codes
ATTEMPTS_LOST = "attempts_lost"
CLIENT_GONE = "client_gone"


class IllegalTransitionError(ConflictError):
    """This cannot happen to a job in its state."""

    code = "illegal_transition"


def decide(job: Job, event: Event) -> Job:
    """The job after ``event``, one version on.

    Raises ``IllegalTransitionError`` where ``TRANSITIONS`` has no row for the pair, terminal
    states included. A second cancel of a job that is cancelling returns it unchanged.
    """
    handler = TRANSITIONS.get((job.state, type(event)))
    if handler is None:
        raise IllegalTransitionError(
            f"{type(event).__name__} cannot happen to a {job.state} {job.kind.value}",
            job_id=job.id,
            state=job.state.value,
            event=type(event).__name__,
        )
    after = handler(job, event)
    return after if after == job else replace(after, version=job.version + 1)


def _claim(job: Job, event: Claimed) -> Job:
    return replace(
        job,
        state=JobState.STARTING,
        attempt=job.attempt + 1,
        owner=event.owner,
        lease_until=event.lease_until,
        not_before=None,
        started_at=None,
        run_id=None,
        engine_version=None,
        cluster=event.cluster,
        image=None,
        canary_id=None,
    )


def _adopt(job: Job, event: Adopted) -> Job:
    return replace(job, owner=event.owner, lease_until=event.lease_until)


def _start(job: Job, event: EngineReady) -> Job:
    return replace(
        job,
        state=JobState.RUNNING,
        started_at=event.at,
        run_id=event.run_id,
        engine_version=event.engine_version,
        image=event.image,
        canary_id=event.canary_id,
    )


def _show(job: Job, _event: ResultReady) -> Job:
    return replace(job, state=JobState.PUBLISHING)


def _finish(job: Job, event: Published) -> Job:
    return _end(job, JobState.FINISHED, event.at)


def _fail(job: Job, event: Failed) -> Job:
    if may_retry(job, event.fault):
        memory = job.memory_bytes if event.memory_bytes is None else event.memory_bytes
        return _queue_again(replace(job, memory_bytes=memory), event.not_before)
    return _end(job, JobState.FAILED, event.at, failure=event.failure)


def _lose(job: Job, event: LeaseExpired) -> Job:
    if may_retry(job, Fault.PLATFORM):
        return _queue_again(job, event.not_before)
    failure = Failure(
        code=ATTEMPTS_LOST,
        message=f"the service lost the {job.kind.value} {job.attempt} times while it ran",
        hint="it may take down what it runs on: make it smaller, or look at the service's log",
    )
    return _end(job, JobState.FAILED, event.at, failure=failure)


def _hand_over(job: Job, _event: HandedOver) -> Job:
    """The attempt still counts, since what it wrote must be told from the next one's."""
    return replace(_queue_again(job, None), max_attempts=job.max_attempts + 1)


def _cancel_now(job: Job, event: CancelRequested) -> Job:
    job = replace(job, cancel_reason=_cause(event))
    return _end(job, JobState.CANCELLED, event.at, failure=_why(job))


def _time_out_now(job: Job, event: DeadlinePassed) -> Job:
    job = replace(job, cancel_reason=CancelReason.TIMEOUT)
    return _end(job, JobState.CANCELLED, event.at, failure=_why(job))


def _cancel(job: Job, event: CancelRequested) -> Job:
    return replace(job, state=JobState.CANCELLING, cancel_reason=_cause(event))


def _cause(event: CancelRequested) -> CancelReason:
    return CancelReason.CLIENT_GONE if event.client_gone else CancelReason.REQUESTED


def _time_out(job: Job, _event: DeadlinePassed) -> Job:
    return replace(job, state=JobState.CANCELLING, cancel_reason=CancelReason.TIMEOUT)


def _stay(job: Job, _event: CancelRequested | DeadlinePassed) -> Job:
    return job


def _stop(job: Job, event: Stopped | LeaseExpired) -> Job:
    return _end(job, JobState.CANCELLED, event.at, failure=_why(job))


def _queue_again(job: Job, not_before: datetime | None) -> Job:
    return replace(
        job,
        state=JobState.QUEUED,
        owner=None,
        lease_until=None,
        started_at=None,
        not_before=not_before,
    )


def _end(job: Job, state: JobState, at: datetime, *, failure: Failure | None = None) -> Job:
    return replace(
        job,
        state=state,
        ended_at=at,
        owner=None,
        lease_until=None,
        not_before=None,
        failure=failure,
    )


def _why(job: Job) -> Failure | None:
    """What is told of a job that somebody else than its author ended."""
    if job.cancel_reason is CancelReason.CLIENT_GONE:
        return Failure(
            code=CLIENT_GONE,
            message=f"the client of the {job.kind.value} was not heard of in time",
            hint="renew the job's lease more often, or submit it without one",
        )
    if job.cancel_reason is not CancelReason.TIMEOUT:
        return None
    seconds = job.spec.timeout.total_seconds()
    return Failure(
        code=TIMEOUTS[job.kind],
        message=f"the {job.kind.value} did not end within {seconds:g} seconds of its submit",
        hint="give it a longer timeout, or less to do",
    )


_IN_WORK = (JobState.STARTING, JobState.RUNNING, JobState.PUBLISHING)

#: Every legal step. What is not here is refused, so the table is also the documentation.
TRANSITIONS: Mapping[tuple[JobState, type[Event]], Callable[[Job, Any], Job]] = {
    (JobState.QUEUED, Claimed): _claim,
    (JobState.QUEUED, CancelRequested): _cancel_now,
    (JobState.QUEUED, DeadlinePassed): _time_out_now,
    (JobState.STARTING, EngineReady): _start,
    (JobState.RUNNING, ResultReady): _show,
    (JobState.PUBLISHING, Published): _finish,
    **{(state, Failed): _fail for state in _IN_WORK},
    **{(state, LeaseExpired): _lose for state in _IN_WORK},
    **{(state, HandedOver): _hand_over for state in _IN_WORK},
    **{(state, CancelRequested): _cancel for state in _IN_WORK},
    **{(state, DeadlinePassed): _time_out for state in _IN_WORK},
    **{(state, Adopted): _adopt for state in (*_IN_WORK, JobState.CANCELLING)},
    (JobState.CANCELLING, CancelRequested): _stay,
    (JobState.CANCELLING, DeadlinePassed): _stay,
    (JobState.CANCELLING, Stopped): _stop,
    (JobState.CANCELLING, LeaseExpired): _stop,
}
