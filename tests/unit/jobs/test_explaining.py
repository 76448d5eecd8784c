"""The story of a job: each step a sentence, and what to do at the end."""

from __future__ import annotations

from typing import get_args

import pytest

from jobs.explaining import people, story
from jobs.lifecycle.events import KINDS, Event
from jobs.lifecycle.states import JobState
from jobs.views import AttemptView, JobEvent, JobView, Obstacle, Wait
from storage.base.errors import Failure
from storage.base.ids import RunId, UserId
from tests.support.jobs import NOW, make_job


def event(kind: str, **detail: object) -> JobEvent:
    return JobEvent(version=1, state=JobState.QUEUED, kind=kind, at=NOW, detail=detail)


def test_every_kind_of_event_has_a_sentence_of_its_own() -> None:
    told = {story(JobView(job=make_job(), history=(event(kind),)))[0] for kind in KINDS.values()}
    assert len(told) == len(KINDS) == len(get_args(Event))
    assert all(line.startswith("2026-01-01 00:00:00Z ") for line in told)


def test_people_are_told_by_their_names_if_they_have_some() -> None:
    history = (event("submitted", by="usr_1"), event("cancel_requested", by="usr_2"))
    view = JobView(job=make_job(), history=(*history, event("started")))
    assert people(view) == {"usr_1", "usr_2"}
    told = story(view, names={UserId("usr_1"): "ann"})
    assert told[0].endswith("submitted by ann")
    assert told[1].endswith("usr_2 asked for its end")


def test_a_failed_attempt_says_whose_fault_it_was() -> None:
    failed = event("failed", fault="platform", code="engine_lost", message="it is gone")
    told = story(JobView(job=make_job(), history=(failed,)))
    assert "by a fault of the platform (engine_lost): it is gone" in told[0]


def test_a_job_that_waits_says_for_what() -> None:
    wait = Wait(reason="queue_full", position=3, detail="16 run, as many as may")
    told = story(JobView(job=make_job(), wait=wait))
    assert told[-1] == "It waits: 16 run, as many as may (place 3)."


@pytest.mark.parametrize(
    ("executors", "who"), [(True, "Its executors do"), (False, "Its pod does")]
)
def test_what_does_not_start_is_told_with_what_helps(executors: bool, who: str) -> None:
    obstacle = Obstacle(
        reason="unschedulable",
        message="0/2 nodes are available.",
        hint="wait for room",
        blame="platform",
        again="later",
        executors=executors,
    )
    told = story(JobView(job=make_job(state=JobState.RUNNING), obstacle=obstacle))
    assert told[-2] == f"{who} not start (unschedulable: 0/2 nodes are available)."
    assert told[-1] == "What to do: wait for room."


def test_a_failed_job_says_what_to_do() -> None:
    failure = Failure(code="program_failed", message="it ended with 1", hint="read its log")
    job = make_job(state=JobState.FAILED, ended_at=NOW, failure=failure)
    attempt = AttemptView(
        attempt=1, run_id=RunId("run_1_1"), started_at=NOW, ended_at=NOW, exit_code=1
    )
    told = story(JobView(job=job, attempts=(attempt,)))
    assert told == (
        "Attempt 1 (run run_1_1) ended: exit code 1.",
        "It failed with program_failed: it ended with 1.",
        "What to do: read its log.",
    )
