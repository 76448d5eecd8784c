"""What later nodes can use of a job."""

from __future__ import annotations

from typing import Any

from jobs.lifecycle.spec import JobKind
from jobs.pipelines.outputs import outputs_of
from jobs.views import JobView
from tests.support.jobs import SPECS, make_job

KEPT = {"name": "out/a.csv", "size": 1, "sha256": "ab" * 32, "uri": "dli://files/ab/a.csv"}
DAY = {"type": "date", "value": "2026-01-31"}


def _batch(**facts: Any) -> JobView:
    job = make_job(kind=JobKind.BATCH, spec=SPECS[JobKind.BATCH])
    return JobView(job=job, facts={"end": "done", **facts})


def test_a_batch_that_left_nothing_gives_nothing() -> None:
    assert outputs_of(_batch()) == {}


def test_what_a_batch_told_is_beside_the_files_that_were_kept() -> None:
    told = {"rows": 7, "value": DAY, "uris": {"lake": "s3://lake/a"}}
    files = {"out/a.csv": KEPT["uri"], "lake": "s3://lake/a"}
    found = outputs_of(_batch(outputs=[KEPT], told=told))
    assert found == {"rows": 7, "value": DAY, "files": files}
