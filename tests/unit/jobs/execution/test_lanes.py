"""Which jobs compete for the same seats."""

from __future__ import annotations

from jobs.execution.lanes import DEEPEST, LANES, PIPELINES, lane_of
from jobs.lifecycle.spec import JobKind


def test_every_job_has_a_lane_and_every_lane_has_jobs() -> None:
    assert {lane_of(kind) for kind in JobKind} | set(PIPELINES) == set(LANES)


def test_runs_within_runs_never_compete_with_those_they_are_within() -> None:
    lanes = [lane_of(JobKind.PIPELINE, depth) for depth in range(DEEPEST)]
    assert len({*lanes, lane_of(JobKind.STATEMENT), lane_of(JobKind.TASK)}) == DEEPEST + 2
    assert len({str(lane) for lane in LANES}) == len(LANES)
