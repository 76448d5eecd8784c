"""Ended jobs from memory, for a moment."""

from __future__ import annotations

from datetime import timedelta

from jobs.execution.recent import Recent
from jobs.lifecycle.states import JobState
from jobs.views import JobView
from storage.base.clock import ManualClock
from storage.base.ids import JobId
from tests.support.jobs import make_job


def _view(number: int, clock: ManualClock, ttl: timedelta = timedelta(hours=1)) -> JobView:
    job = make_job(id=JobId(f"stm_{number}"), state=JobState.FINISHED, ended_at=clock.now())
    return JobView(job=job, result_expires_at=clock.now() + ttl)


def test_a_job_is_told_for_a_moment() -> None:
    clock = ManualClock()
    recent = Recent(clock)
    view = _view(1, clock)
    recent.put(view)
    assert recent.get(view.job.id) is view
    clock.advance(timedelta(seconds=6))
    assert recent.get(view.job.id) is None


def test_an_expired_result_is_left_to_the_rows() -> None:
    clock = ManualClock()
    recent = Recent(clock)
    view = _view(1, clock, timedelta(seconds=2))
    recent.put(view)
    clock.advance(timedelta(seconds=2))
    assert recent.get(view.job.id) is None


def test_a_forgotten_job_is_left_to_the_rows() -> None:
    clock = ManualClock()
    recent = Recent(clock)
    view = _view(1, clock)
    recent.put(view)
    recent.forget(view.job.id)
    recent.forget(view.job.id)
    assert recent.get(view.job.id) is None


def test_only_the_last_ones_are_kept() -> None:
    clock = ManualClock()
    recent = Recent(clock)
    for number in range(1001):
        recent.put(_view(number, clock))
    assert recent.get(JobId("stm_0")) is None
    assert recent.get(JobId("stm_1000")) is not None
