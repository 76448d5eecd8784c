"""Seats, and the threads that sit in them."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import timedelta

import pytest

from jobs.execution.execution import Execution
from jobs.execution.lanes import PIPELINES, RUNS, STATEMENTS
from jobs.execution.workers import Workers
from storage.base.clock import SystemClock
from storage.base.ids import JobId
from tests.support.jobs import make_job
from tests.support.runs import eventually
from tests.unit.jobs.store.test_codec import QUERY

CLOCK = SystemClock()


class Stage:
    """Workers whose statements run until ``go``, and what became of them."""

    def __init__(self, seats: int) -> None:
        self.go = threading.Event()
        self._left: set[Execution] = set()
        self.ended: list[str] = []
        self.stopped: list[str] = []
        self.workers = Workers(
            seats={STATEMENTS: seats},
            run=self._run,
            stop_work=lambda execution: self.stopped.append(execution.job.id),
            ended=lambda execution: self.ended.append(execution.job.id),
        )

    def leave(self, execution: Execution) -> None:
        """Let this one end."""
        self._left.add(execution)

    def _run(self, execution: Execution) -> None:
        while execution not in self._left and not self.go.wait(0.01):
            pass

    def start(self, number: int, *, attempt: int = 1) -> Execution:
        job = make_job(id=JobId(f"stm_{number}"), attempt=attempt)
        execution = Execution(job, QUERY, clock=CLOCK, timings={})
        self.workers.start(execution)
        return execution


@pytest.fixture
def stage() -> Iterator[Stage]:
    made = Stage(2)
    yield made
    made.go.set()
    assert made.workers.wait_idle(timedelta(seconds=10), CLOCK)
    made.workers.shut()


def test_seats_are_counted(stage: Stage) -> None:
    assert stage.workers.take_seats(STATEMENTS, 5) == 2
    assert stage.workers.take_seats(STATEMENTS) == 0
    stage.workers.leave_seats(STATEMENTS)
    assert stage.workers.take_seats(STATEMENTS) == 1


def test_a_seat_is_free_after_its_statement(stage: Stage) -> None:
    assert stage.workers.take_seats(STATEMENTS) == 1
    execution = stage.start(1)
    assert stage.workers.find(JobId("stm_1")) is execution
    assert [each.job.id for each in stage.workers.active()] == ["stm_1"]
    stage.go.set()
    assert execution.ended.wait(60)
    assert stage.workers.wait_idle(timedelta(seconds=10), CLOCK)
    assert stage.workers.find(JobId("stm_1")) is None
    assert stage.workers.take_seats(STATEMENTS, 5) == 2


def test_closed_workers_have_no_seats(stage: Stage) -> None:
    stage.workers.take_seats(STATEMENTS)
    stage.start(1)
    stage.workers.close()
    assert stage.workers.take_seats(STATEMENTS) == 0
    assert not stage.workers.wait_idle(timedelta(milliseconds=50), CLOCK)


def test_a_statement_is_stopped_once(stage: Stage) -> None:
    stage.workers.take_seats(STATEMENTS)
    execution = stage.start(1)
    stage.workers.stop(execution)
    stage.workers.stop(execution)
    stage.go.set()
    assert execution.ended.wait(60)
    stage.workers.shut()
    assert execution.stop.is_set()
    assert stage.stopped == ["stm_1"]


def test_what_lost_its_attempt_by_itself_is_stopped_too(stage: Stage) -> None:
    """A write that comes too late tells the work; its engine must hear of it as well."""
    stage.workers.take_seats(STATEMENTS)
    execution = stage.start(1)
    execution.stop.set()
    stage.workers.stop(execution)
    stage.workers.shut()
    eventually(lambda: stage.stopped == ["stm_1"])


def test_a_lost_attempt_may_end_beside_the_next(stage: Stage) -> None:
    stage.workers.take_seats(STATEMENTS, 2)
    lost, next_one = stage.start(1), stage.start(1, attempt=2)
    assert stage.workers.find(JobId("stm_1")) is next_one
    assert stage.workers.runs_attempt(next_one.job)
    assert not stage.workers.runs_attempt(make_job(id=JobId("stm_1"), attempt=3))
    stage.leave(lost)
    eventually(lambda: stage.workers.take_seats(STATEMENTS) == 1)
    assert stage.workers.active() == (next_one,)
    assert stage.workers.find(JobId("stm_1")) is next_one


def test_no_seats_means_nothing_runs_here() -> None:
    assert Stage(0).workers.take_seats(STATEMENTS, 3) == 0


def test_a_full_lane_leaves_the_others_free() -> None:
    stage = Stage(1)
    assert stage.workers.take_seats(STATEMENTS) == 1
    assert stage.workers.take_seats(RUNS) == 0
    assert stage.workers.take_seats(PIPELINES[0]) == 0
    stage.workers.shut()
