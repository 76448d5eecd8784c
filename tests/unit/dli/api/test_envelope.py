from __future__ import annotations

from dataclasses import replace

from dli.api.envelope import etag_of
from jobs.lifecycle.states import JobState
from jobs.views import JobView, Obstacle, Progress
from tests.support.jobs import make_job

VIEW = JobView(job=make_job(state=JobState.RUNNING))
FULL = Obstacle(
    reason="unschedulable",
    message="0/2 nodes",
    hint="wait",
    blame="platform",
    again="later",
    executors=True,
)


def test_what_comes_into_the_way_is_news_and_so_is_its_end() -> None:
    """Else who knows the job already would be told that nothing changed."""
    stuck = replace(VIEW, obstacle=FULL)
    tags = {
        etag_of(VIEW),
        etag_of(stuck),
        etag_of(replace(stuck, obstacle=replace(FULL, reason="quota"))),
    }
    assert len(tags) == 3
    assert etag_of(replace(stuck, obstacle=replace(FULL, message="0/3 nodes"))) in tags


def test_progress_alone_is_none() -> None:
    assert etag_of(replace(VIEW, progress=Progress(rows=7))) == etag_of(VIEW)
