"""Into the queue and out of it, by rows."""

from __future__ import annotations

import threading
from datetime import timedelta

import pytest
from sqlalchemy import delete

from jobs.lifecycle.events import Claimed
from jobs.lifecycle.job import Job
from jobs.lifecycle.spec import EngineName
from jobs.lifecycle.states import JobState
from jobs.queues.admission import Place, load_of, places, start_waiting, starts_now, wait_of
from jobs.queues.definitions import QueueDef, QueueFullError, QueueMissingError
from jobs.queues.policy import Waiting
from jobs.queues.store import create
from jobs.store.jobs import Summary, add, first_step, load
from jobs.store.rows import queues
from storage.base.ids import JobId
from storage.meta.database import Database, Tx
from tests.support.jobs import NOW, PROJECT, make_job, make_queue, make_spec

CU = {EngineName.SAIL: 1}
CLAIM = Claimed(at=NOW, owner="a", lease_until=NOW + timedelta(seconds=15))


def _add(tx: Tx, *ids: str, **changes: object) -> list[Job]:
    made = [make_job(id=JobId(each), **changes) for each in ids]
    for job in made:
        add(tx, [first_step(job)], plan=None, summary=Summary())
    return made


def _kept(tx: Tx, queue: QueueDef) -> Place:
    """The place of a queue that is as ``queue`` says."""
    place = Place(project_id=queue.project_id, queue=queue.name)
    tx.execute(delete(queues).where(queues.c.name == queue.name))
    create(tx, queue)
    return place


def _starts(database: Database, tx: Tx, queue: QueueDef, *, room: bool = True) -> bool:
    return starts_now(
        database,
        tx,
        _kept(tx, queue),
        Waiting(id=JobId("stm_new"), engine=EngineName.SAIL),
        room=room,
        engine_cu=CU,
        now=NOW,
    )


def _claim(database: Database, tx: Tx, queue: QueueDef, room: int = 9) -> list[str]:
    place = _kept(tx, queue)
    left = iter(range(room))
    jobs = start_waiting(
        database,
        tx,
        place,
        engine_cu=CU,
        claim=lambda _: None if next(left, None) is None else CLAIM,
        now=NOW,
    )
    return [job.id for job in jobs]


def test_an_empty_queue_starts_at_once(database: Database) -> None:
    with database.transaction() as tx:
        assert _starts(database, tx, make_queue())
        assert not _starts(database, tx, make_queue(), room=False)


def test_those_who_wait_go_first(database: Database) -> None:
    with database.transaction() as tx:
        _add(tx, "stm_1")
        assert not _starts(database, tx, make_queue())


def test_a_queue_that_is_full_refuses(database: Database) -> None:
    queue = make_queue(max_running=1, max_waiting=1)
    with database.transaction() as tx:
        _add(tx, "stm_1")
        assert _claim(database, tx, queue) == ["stm_1"]
        assert not _starts(database, tx, queue)
        _add(tx, "stm_2")
        with pytest.raises(QueueFullError) as caught:
            _starts(database, tx, queue)
    assert caught.value.retryable


def test_without_waiting_places_what_cannot_start_is_refused(database: Database) -> None:
    queue = make_queue(max_running=1, max_waiting=0)
    with database.transaction() as tx:
        assert _starts(database, tx, queue)
        _add(tx, "stm_1", state=JobState.RUNNING, owner="a", lease_until=NOW)
        with pytest.raises(QueueFullError):
            _starts(database, tx, queue)


def test_claims_keep_order_and_limit_and_room(database: Database) -> None:
    with database.transaction() as tx:
        _add(tx, "stm_1", "stm_2", "stm_3", "stm_4")
        assert _claim(database, tx, make_queue(max_running=3), room=2) == ["stm_1", "stm_2"]
        assert _claim(database, tx, make_queue(max_running=3)) == ["stm_3"]
        job = load(tx, JobId("stm_1"))
        assert job is not None
        assert (job.state, job.owner, job.attempt) == (JobState.STARTING, "a", 1)
        assert load_of(tx, make_queue()).waiting == 1
        assert load_of(tx, make_queue()).computing == 3


def test_a_job_is_told_why_it_waits(database: Database) -> None:
    queue = make_queue(max_running=1)
    with database.transaction() as tx:
        _, second, third = _add(tx, "stm_1", "stm_2", "stm_3")
        catalog = _add(tx, "stm_4", spec=make_spec(engine=None))[0]
        _claim(database, tx, queue, room=1)
        told = [wait_of(tx, job, queue, engine_cu=CU, now=NOW) for job in (second, third, catalog)]
    assert [(wait.reason, wait.position) for wait in told] == [
        ("queue_full", 1),
        ("behind_others", 2),
        ("starting_soon", 1),
    ]


def test_queues_with_somebody_waiting_are_found(database: Database) -> None:
    with database.transaction() as tx:
        _add(tx, "stm_1", "stm_2")
        _add(tx, "stm_3", queue="night")
        _add(tx, "stm_4", queue="done", state=JobState.FINISHED)
        found = places(tx)
    assert set(found) == {
        Place(project_id=PROJECT, queue="default"),
        Place(project_id=PROJECT, queue="night"),
    }


def test_two_replicas_never_pass_a_limit_together(database_url: str) -> None:
    replicas = [Database(database_url) for _ in range(2)]
    with replicas[0].transaction() as tx:
        _add(tx, *(f"stm_{number:02}" for number in range(20)))
        place = _kept(tx, make_queue(max_running=5))
    claimed: list[str] = []
    start = threading.Barrier(2)

    def claim(database: Database) -> None:
        start.wait()
        for _ in range(5):
            with database.transaction() as tx:
                left = [CLAIM, CLAIM]
                found = start_waiting(
                    database,
                    tx,
                    place,
                    engine_cu=CU,
                    claim=lambda _, left=left: left.pop() if left else None,  # type: ignore[misc]
                    now=NOW,
                )
                claimed.extend(job.id for job in found)

    threads = [threading.Thread(target=claim, args=(each,)) for each in replicas]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for replica in replicas:
        replica.close()
    assert sorted(claimed) == [f"stm_{number:02}" for number in range(5)]


def test_a_queue_that_was_deleted_lets_nobody_in(database: Database) -> None:
    with database.transaction() as tx, pytest.raises(QueueMissingError):
        starts_now(
            database,
            tx,
            Place(project_id=PROJECT, queue="gone"),
            Waiting(id=JobId("stm_1"), engine=None),
            room=True,
            engine_cu=CU,
            now=NOW,
        )
