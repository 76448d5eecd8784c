"""Seats, and the threads that sit in them."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import timedelta

import pytest

from jobs.execution.execution import Execution
from jobs.execution.workers import PIPELINE_LANES, Lane, Workers, lane_of
from jobs.lifecycle.spec import JobKind
from storage.base.clock import SystemClock
from storage.base.ids import JobId
from tests.support.jobs import make_job
from tests.unit.jobs.store.test_codec import QUERY

CLOCK = SystemClock()
LANE = Lane.STATEMENTS


class Stage:
    """Workers whose statements run until ``go``, and what became of them."""

    def __init__(self, seats: int) -> None:
        self.go = threading.Event()
        self.ended: list[str] = []
        self.stopped: list[str] = []
        self.workers = Workers(
            seats={Lane.STATEMENTS: seats},
            run=self._run,
            stop_work=lambda execution: self.stopped.append(execution.job.id),
            ended=lambda execution: self.ended.append(execution.job.id),
        )

    def _run(self, execution: Execution) -> None:
        self.go.wait(60)

    def start(self, number: int) -> Execution:
        job = make_job(id=JobId(f"stm_{number}"))
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
    assert stage.workers.take_seats(LANE, 5) == 2
    assert stage.workers.take_seats(LANE) == 0
    stage.workers.leave_seats(LANE)
    assert stage.workers.take_seats(LANE) == 1


def test_a_seat_is_free_after_its_statement(stage: Stage) -> None:
    assert stage.workers.take_seats(LANE) == 1
    execution = stage.start(1)
    assert stage.workers.find(JobId("stm_1")) is execution
    assert [each.job.id for each in stage.workers.active()] == ["stm_1"]
    stage.go.set()
    assert execution.ended.wait(60)
    assert stage.workers.wait_idle(timedelta(seconds=10), CLOCK)
    assert stage.workers.find(JobId("stm_1")) is None
    assert stage.workers.take_seats(LANE, 5) == 2


def test_closed_workers_have_no_seats(stage: Stage) -> None:
    stage.workers.take_seats(LANE)
    stage.start(1)
    stage.workers.close()
    assert stage.workers.take_seats(LANE) == 0
    assert not stage.workers.wait_idle(timedelta(milliseconds=50), CLOCK)


def test_a_statement_is_stopped_once(stage: Stage) -> None:
    stage.workers.take_seats(LANE)
    execution = stage.start(1)
    stage.workers.stop(execution)
    stage.workers.stop(execution)
    stage.go.set()
    assert execution.ended.wait(60)
    stage.workers.shut()
    assert execution.stop.is_set()
    assert stage.stopped == ["stm_1"]


def test_no_seats_means_nothing_runs_here() -> None:
    assert Stage(0).workers.take_seats(LANE, 3) == 0


def test_a_full_lane_leaves_the_others_free() -> None:
    stage = Stage(1)
    assert stage.workers.take_seats(LANE) == 1
    assert stage.workers.take_seats(Lane.RUNS) == 0
    assert {lane_of(kind) for kind in JobKind} | set(PIPELINE_LANES) == set(Lane)
    stage.workers.shut()
