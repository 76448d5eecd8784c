"""Queues in rows."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import replace
from datetime import timedelta

import pytest

from jobs.lifecycle.events import CancelRequested
from jobs.lifecycle.spec import EngineName
from jobs.queues.definitions import (
    QueueChangedError,
    QueueExistsError,
    QueueInUseError,
    QueueMissingError,
)
from jobs.queues.pods import QueuePods
from jobs.queues.store import change, create, every, get, remove
from jobs.store.jobs import Summary, add, apply, first_step
from storage.base.ids import ProjectId
from storage.meta.database import Database
from tests.support.jobs import NOW, PROJECT, make_job, make_queue

NIGHT = make_queue(
    name="night",
    default_engine=EngineName.SPARK,
    max_cu=4,
    timeout=timedelta(hours=2),
    guard_levels={"cross_join": "refuse"},
    max_bytes=10**12,
    max_cost=5 * 10**9,
    user_weights={"usr_1": 3},
    pods=QueuePods(max_executors=8, template={"spec": {"nodeSelector": {"a": "b"}}}),
)


def test_a_queue_comes_back_as_it_was_kept(database: Database) -> None:
    with database.transaction() as tx:
        create(tx, NIGHT)
        create(tx, make_queue())
    with database.read() as tx:
        assert get(tx, PROJECT, "night") == NIGHT
        assert [queue.name for queue in every(tx, PROJECT)] == ["default", "night"]
        assert every(tx, ProjectId("other")) == ()


def test_a_name_is_taken_once(database: Database) -> None:
    with database.transaction() as tx:
        create(tx, NIGHT)
        with pytest.raises(QueueExistsError):
            create(tx, NIGHT)
        create(tx, replace(NIGHT, project_id=ProjectId("other")))


def test_of_two_creates_at_once_one_is_told(database: Database) -> None:
    def again() -> None:
        with database.transaction() as tx:
            create(tx, NIGHT)

    with ThreadPoolExecutor(1) as threads:
        with database.transaction() as tx:
            create(tx, NIGHT)
            other = threads.submit(again)
            wait([other], timeout=0.3)  # it waits for us, at the latest where it writes
        with pytest.raises(QueueExistsError):
            other.result(timeout=60)


def test_an_unknown_queue_is_told_with_near_names(database: Database) -> None:
    with database.transaction() as tx:
        create(tx, NIGHT)
        with pytest.raises(QueueMissingError) as caught:
            get(tx, PROJECT, "nigt")
    assert caught.value.hint == "did you mean night?"


def test_of_two_changes_the_second_is_told(database: Database) -> None:
    with database.transaction() as tx:
        create(tx, NIGHT)
        assert change(tx, replace(NIGHT, max_running=2)).version == 2
        with pytest.raises(QueueChangedError):
            change(tx, replace(NIGHT, max_running=3))
        assert get(tx, PROJECT, "night").max_running == 2


def test_a_queue_with_live_jobs_stays(database: Database) -> None:
    job = make_job(queue="night")
    with database.transaction() as tx:
        create(tx, NIGHT)
        add(tx, [first_step(job)], plan=None, summary=Summary())
        with pytest.raises(QueueInUseError):
            remove(tx, PROJECT, "night")
        apply(tx, job, CancelRequested(at=NOW))
        remove(tx, PROJECT, "night")
        with pytest.raises(QueueMissingError):
            remove(tx, PROJECT, "night")


def test_the_default_queue_stays(database: Database) -> None:
    with database.transaction() as tx:
        create(tx, make_queue())
        with pytest.raises(QueueInUseError):
            remove(tx, PROJECT, "default")
