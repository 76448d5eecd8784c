"""The machine, by walking every job that can be reached; and the steps one by one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from functools import cache

import pytest

from jobs.lifecycle.events import (
    KINDS,
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
from jobs.lifecycle.machine import TRANSITIONS, IllegalTransitionError, decide
from jobs.lifecycle.spec import JobKind, RetryPolicy
from jobs.lifecycle.states import OWNED, JobState
from storage.base.errors import Failure
from storage.base.ids import RunId
from tests.support.jobs import NOW, SPECS, make_job, make_spec

FAILURE = Failure(code="division_by_zero", message="division by zero")
LOST = Failure(code="engine_lost", message="the engine is gone")
EVENTS: tuple[Event, ...] = (
    Claimed(at=NOW, owner="a", lease_until=NOW + timedelta(seconds=15)),
    Adopted(at=NOW, owner="b", lease_until=NOW + timedelta(seconds=30)),
    EngineReady(at=NOW, run_id=RunId("run_1"), engine_version="0.7.2"),
    ResultReady(at=NOW),
    Published(at=NOW),
    Failed(at=NOW, failure=FAILURE, fault=Fault.USER),
    Failed(at=NOW, failure=LOST, fault=Fault.MEMORY),
    Failed(at=NOW, failure=LOST, fault=Fault.PLATFORM, not_before=NOW + timedelta(seconds=1)),
    LeaseExpired(at=NOW, not_before=NOW + timedelta(seconds=1)),
    HandedOver(at=NOW),
    CancelRequested(at=NOW),
    CancelRequested(at=NOW, client_gone=True),
    DeadlinePassed(at=NOW),
    Stopped(at=NOW),
)
#: What can happen when nobody runs the job: a reaper of any replica sees only these.
REAPER = (LeaseExpired, DeadlinePassed)
MOST_HAND_OVERS = 2

Walk = Mapping[Job, tuple[tuple[Event, Job], ...]]


def _hashable(job: Job) -> Job:
    """The version is not part of the place a job is at."""
    return replace(job, version=1)


@cache
def _walk(
    max_attempts: int, kind: JobKind = JobKind.STATEMENT
) -> dict[str, tuple[Job, list[tuple[Event, Job]]]]:
    first = make_job(kind=kind, spec=SPECS[kind], max_attempts=max_attempts)
    found: dict[str, tuple[Job, list[tuple[Event, Job]]]] = {}
    ahead = [first]
    while ahead:
        job = ahead.pop()
        key = repr(_hashable(job))
        if key in found:
            continue
        steps = []
        for event in EVENTS:
            handed_over = job.max_attempts - max_attempts
            if isinstance(event, HandedOver) and handed_over >= MOST_HAND_OVERS:
                continue
            if (job.state, type(event)) in TRANSITIONS:
                steps.append((event, decide(job, event)))
        found[key] = (job, steps)
        ahead.extend(after for _, after in steps)
    return found


@pytest.mark.parametrize("kind", JobKind)
@pytest.mark.parametrize("max_attempts", [1, 2, 3])
def test_every_reachable_job_keeps_the_invariants(max_attempts: int, kind: JobKind) -> None:
    walk = _walk(max_attempts, kind)
    assert {job.state for job, _ in walk.values()} == set(JobState)
    for job, steps in walk.values():
        assert 0 <= job.attempt <= job.max_attempts
        assert (job.owner is not None) == (job.state in OWNED)
        assert (job.lease_until is not None) == (job.state in OWNED)
        assert (job.ended_at is not None) == job.state.terminal
        assert job.state.terminal == (not steps)
        assert job.not_before is None or job.state is JobState.QUEUED
        if job.state is JobState.FAILED:
            assert job.failure is not None
        if job.state in (JobState.CANCELLING, JobState.CANCELLED):
            assert job.cancel_reason is not None
        else:
            assert job.cancel_reason is None
        if job.state is JobState.FINISHED:
            assert job.failure is None


@pytest.mark.parametrize("kind", JobKind)
def test_versions_go_up_by_one(kind: JobKind) -> None:
    for job, steps in _walk(3, kind).values():
        for event, after in steps:
            assert after.version == job.version + (after != job), (job.state, event)


@pytest.mark.parametrize("kind", JobKind)
def test_an_attempt_is_counted_by_claims_only(kind: JobKind) -> None:
    for job, steps in _walk(3, kind).values():
        for event, after in steps:
            assert after.attempt == job.attempt + isinstance(event, Claimed)


@pytest.mark.parametrize("kind", JobKind)
def test_every_job_that_is_not_at_its_end_can_be_cancelled(kind: JobKind) -> None:
    for job, _ in _walk(3, kind).values():
        if not job.state.terminal:
            after = decide(job, CancelRequested(at=NOW))
            assert after.state in (JobState.CANCELLING, JobState.CANCELLED)


@pytest.mark.parametrize("kind", JobKind)
def test_no_dead_process_strands_a_job(kind: JobKind) -> None:
    """Any job comes to its end by what reapers see alone, with nobody to claim or stop it."""
    for job, _ in _walk(3, kind).values():
        seen = [job.state]
        while not job.state.terminal:
            event = next(
                event
                for event in EVENTS
                if isinstance(event, REAPER)
                and (job.state, type(event)) in TRANSITIONS
                and decide(job, event) != job
            )
            job = decide(job, event)
            seen.append(job.state)
            assert len(seen) < 5, seen


@pytest.mark.parametrize("kind", JobKind)
def test_each_row_of_the_table_is_reached(kind: JobKind) -> None:
    reached = {
        (job.state, type(event)) for job, steps in _walk(3, kind).values() for event, _ in steps
    }
    assert reached == set(TRANSITIONS)


def test_each_event_has_a_kind_of_its_own() -> None:
    assert set(KINDS) == {type(event) for event in EVENTS}
    assert len(set(KINDS.values())) == len(KINDS)


def test_an_adopted_job_is_the_same_with_another_owner() -> None:
    for job, steps in _walk(3).values():
        for event, after in steps:
            if isinstance(event, Adopted):
                kept = replace(
                    after, owner=job.owner, lease_until=job.lease_until, version=job.version
                )
                assert kept == job


def test_a_client_that_is_gone_is_told_at_the_end() -> None:
    cancelling = decide(_running(), CancelRequested(at=NOW, client_gone=True))
    after = decide(cancelling, Stopped(at=NOW))
    assert after.failure is not None
    assert (after.state, after.failure.code) == (JobState.CANCELLED, "client_gone")


def test_without_memory_a_job_is_tried_again_if_its_policy_says_so() -> None:
    event = Failed(at=NOW, failure=LOST, fault=Fault.MEMORY)
    assert decide(_running(), event).state is JobState.QUEUED
    never = make_spec(retry=RetryPolicy(on=(Fault.PLATFORM,)))
    assert decide(_running(spec=never), event).state is JobState.FAILED


def test_a_terminal_job_refuses_every_event() -> None:
    for state in (JobState.FINISHED, JobState.FAILED, JobState.CANCELLED):
        for event in EVENTS:
            with pytest.raises(IllegalTransitionError) as caught:
                decide(make_job(state=state), event)
            assert caught.value.details["state"] == state.value


def _running(**changes: object) -> Job:
    values: dict[str, object] = {"state": JobState.RUNNING, "version": 3, "attempt": 1}
    values |= {"owner": "a", "lease_until": NOW, "run_id": RunId("run_1")}
    return make_job(**values | changes)


def test_a_fault_of_the_user_is_not_tried_again() -> None:
    after = decide(_running(), Failed(at=NOW, failure=FAILURE, fault=Fault.USER))
    assert (after.state, after.failure) == (JobState.FAILED, FAILURE)


def test_a_fault_of_the_platform_is_tried_again_after_a_pause() -> None:
    later = NOW + timedelta(seconds=1)
    event = Failed(at=NOW, failure=LOST, fault=Fault.PLATFORM, not_before=later)
    after = decide(_running(), event)
    assert (after.state, after.not_before, after.failure) == (JobState.QUEUED, later, None)


def test_the_last_attempt_ends_with_its_failure() -> None:
    event = Failed(at=NOW, failure=LOST, fault=Fault.PLATFORM)
    after = decide(_running(attempt=3), event)
    assert (after.state, after.failure) == (JobState.FAILED, LOST)


def test_a_handed_over_job_loses_no_attempt() -> None:
    after = decide(_running(attempt=3), HandedOver(at=NOW))
    assert (after.state, after.attempt, after.max_attempts) == (JobState.QUEUED, 3, 4)


def test_a_claim_forgets_the_engine_of_the_attempt_before() -> None:
    queued = make_job(attempt=1, run_id=RunId("run_1"), engine_version="1", not_before=NOW)
    after = decide(queued, EVENTS[0])
    assert (after.attempt, after.run_id, after.engine_version) == (2, None, None)


def test_a_timeout_says_so_when_the_work_has_stopped() -> None:
    cancelling = decide(_running(), DeadlinePassed(at=NOW))
    assert cancelling.state is JobState.CANCELLING
    after = decide(cancelling, Stopped(at=NOW))
    assert after.state is JobState.CANCELLED
    assert after.failure is not None
    assert after.failure.code == "statement_timeout"


def test_a_cancel_keeps_its_first_reason() -> None:
    cancelling = decide(_running(), CancelRequested(at=NOW))
    assert decide(cancelling, DeadlinePassed(at=NOW)) is cancelling
    after = decide(cancelling, LeaseExpired(at=NOW))
    assert (after.cancel_reason, after.failure) == (CancelReason.REQUESTED, None)
