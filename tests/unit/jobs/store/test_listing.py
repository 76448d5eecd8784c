"""Pages of jobs."""

from __future__ import annotations

from datetime import timedelta

import pytest

from jobs.lifecycle.spec import EngineName
from jobs.lifecycle.states import JobState
from jobs.store.jobs import Summary, add, first_step
from jobs.store.listing import page
from jobs.views import JobFilter
from storage.base.ids import JobId, ProjectId
from storage.meta.database import Database
from storage.meta.paging import InvalidCursorError, encode_cursor
from tests.support.jobs import NOW, PROJECT, make_job, make_spec


@pytest.fixture
def listed(database: Database) -> Database:
    """Six jobs of one project, stm_0 to stm_5, and one of another."""
    with database.transaction() as tx:
        for number in range(6):
            engine = EngineName.SPARK if number == 4 else EngineName.SAIL
            job = make_job(
                id=JobId(f"stm_{number}"),
                state=JobState.FINISHED if number % 2 else JobState.QUEUED,
                queue="night" if number > 3 else "default",
                created_at=NOW + timedelta(hours=number),
                spec=make_spec(labels={"n": str(number), "team": "a"}, engine=engine),
            )
            add(tx, [first_step(job)], plan=None, summary=Summary())
        other = make_job(id=JobId("stm_9"), project_id=ProjectId("other"))
        add(tx, [first_step(other)], plan=None, summary=Summary())
    return database


def _ids(database: Database, wanted: JobFilter) -> list[str]:
    with database.read() as tx:
        found = page(tx, PROJECT, wanted, cursor=None, limit=100)
    return [view.job.id for view in found.items]


def test_pages_follow_each_other_newest_first(listed: Database) -> None:
    seen, cursor = [], None
    while True:
        with listed.read() as tx:
            found = page(tx, PROJECT, JobFilter(), cursor=cursor, limit=4)
        seen.append([view.job.id for view in found.items])
        cursor = found.next_cursor
        if cursor is None:
            break
    assert seen == [["stm_5", "stm_4", "stm_3", "stm_2"], ["stm_1", "stm_0"]]


@pytest.mark.parametrize(
    ("wanted", "ids"),
    [
        (JobFilter(states=frozenset({JobState.FINISHED})), ["stm_5", "stm_3", "stm_1"]),
        (JobFilter(queue="night"), ["stm_5", "stm_4"]),
        (JobFilter(engine=EngineName.SPARK), ["stm_4"]),
        (JobFilter(labels={"n": "3", "team": "a"}), ["stm_3"]),
        (JobFilter(labels={"n": "3", "team": "b"}), []),
        (
            JobFilter(created_from=NOW + timedelta(hours=1), created_to=NOW + timedelta(hours=3)),
            ["stm_2", "stm_1"],
        ),
    ],
)
def test_all_conditions_must_hold(listed: Database, wanted: JobFilter, ids: list[str]) -> None:
    assert _ids(listed, wanted) == ids


def test_a_cursor_of_another_list_is_refused(listed: Database) -> None:
    with pytest.raises(InvalidCursorError), listed.read() as tx:
        page(tx, PROJECT, JobFilter(), cursor=encode_cursor([1, "a"]), limit=2)
