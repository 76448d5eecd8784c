"""Into the queue and out of it, by rows."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Sequence
from datetime import timedelta
from functools import partial
from typing import Any

import pytest
from sqlalchemy import delete

from jobs.launchers.api import Capacity
from jobs.lifecycle.events import CancelRequested, Claimed
from jobs.lifecycle.job import Job
from jobs.lifecycle.spec import EngineName, JobKind
from jobs.lifecycle.states import JobState
from jobs.queues.admission import let_in, load_of
from jobs.queues.claims import start_waiting
from jobs.queues.definitions import (
    QueueClosedError,
    QueueDef,
    QueueFullError,
    QueueMissingError,
    QueueRefusesError,
    QueueState,
)
from jobs.queues.demand import Place, Waiting, waiting_of
from jobs.queues.heads import heads
from jobs.queues.ledger import Ledger
from jobs.queues.policy import choose
from jobs.queues.store import create
from jobs.store.jobs import Summary, add, apply, first_step, history, load
from jobs.store.rows import queues
from jobs.store.run_rows import plan_run, runs
from storage.base.ids import JobId, ProjectId, RunId
from storage.meta.database import Database, Tx
from tests.support.jobs import NOW, PROJECT, SPECS, make_job, make_queue

CU = {EngineName.SAIL: 1}
CLAIM = Claimed(at=NOW, owner="a", lease_until=NOW + timedelta(seconds=15))
GIB = 2**30
RUNNING: dict[str, Any] = {"state": JobState.RUNNING, "owner": "a", "lease_until": NOW}


def _add(tx: Tx, *ids: str, **changes: object) -> list[Job]:
    made = [make_job(id=JobId(each), **changes) for each in ids]
    for job in made:
        add(tx, [first_step(job)], plan=None, summary=Summary())
    return made


def _batch(name: str, cores: int = 1, **changes: object) -> Job:
    values: dict[str, Any] = {"kind": JobKind.BATCH, "spec": SPECS[JobKind.BATCH]}
    return make_job(id=JobId(name), cpu_millis=cores * 1000, **values | changes)


def _ledger(database: Database, cores: int | None = None, replica: str = "a") -> Ledger:
    capacity = Capacity(cpu_millis=(cores or 0) * 1000, memory_bytes=8 * GIB)
    measure = None if cores is None else lambda: capacity
    return Ledger(
        database=database,
        replica=replica,
        engine_cu=CU,
        engine_memory={EngineName.SAIL: 2 * GIB},
        measure=measure,
    )


def _kept(tx: Tx, queue: QueueDef) -> Place:
    """The place of a queue that is as ``queue`` says."""
    tx.execute(delete(queues).where(queues.c.name == queue.name))
    create(tx, queue)
    return Place(queue.project_id, queue.name)


def _starts(
    database: Database,
    tx: Tx,
    queue: QueueDef,
    job: Job | None = None,
    *,
    cores: int | None = None,
    **given: bool,
) -> bool:
    _kept(tx, queue)
    asked = job or make_job(id=JobId("stm_new"), queue=queue.name)
    ways = {"room": True, "served": True} | given
    return let_in(_ledger(database, cores), tx, asked, now=NOW, **ways).starts


def _claim(ledger: Ledger, tx: Tx, *places: Place, most: int = 9) -> list[str]:
    found = heads(tx, now=NOW, each=16)
    room = ledger.room(tx, {job.place for job in found})
    start = choose(found, room=room, now=NOW).start
    wanted = [job for job in found if job.id in start and job.place in places][:most]
    started = start_waiting(ledger, tx, wanted, now=NOW, claim=lambda *_: CLAIM, pay=_unpaid)
    return [each.job.id for each in started]


def _at_once(*works: Callable[[], object]) -> None:
    threads = [threading.Thread(target=work) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def test_an_empty_queue_starts_at_once(database: Database) -> None:
    with database.transaction() as tx:
        assert _starts(database, tx, make_queue())
        assert not _starts(database, tx, make_queue(), room=False)


def test_those_who_wait_go_first(database: Database) -> None:
    with database.transaction() as tx:
        _add(tx, "stm_1")
        assert not _starts(database, tx, make_queue())


def test_those_who_wait_in_other_queues_hold_up_no_statement(database: Database) -> None:
    with database.transaction() as tx:
        _kept(tx, make_queue(name="night"))
        _add(tx, "stm_1", queue="night")
        assert _starts(database, tx, make_queue())


def test_a_user_at_the_limit_waits(database: Database) -> None:
    queue = make_queue(max_running_per_user=1)
    with database.transaction() as tx:
        _add(tx, "stm_1", **RUNNING)
        assert not _starts(database, tx, queue)
        assert _starts(database, tx, queue, make_job(id=JobId("stm_2"), user_id="usr_2"))


def test_a_queue_that_is_full_refuses(database: Database) -> None:
    queue = make_queue(max_running=1, max_waiting=1)
    with database.transaction() as tx:
        _add(tx, "stm_1")
        assert _claim(_ledger(database), tx, _kept(tx, queue)) == ["stm_1"]
        assert not _starts(database, tx, queue)
        _add(tx, "stm_2")
        with pytest.raises(QueueFullError) as caught:
            _starts(database, tx, queue)
        node = make_job(id=JobId("stm_3"), parent_id=JobId("plr_1"), node="a")
        assert not _starts(database, tx, queue, node), "it waits: its run is on its way"
    assert caught.value.retryable


def test_without_waiting_places_what_cannot_start_is_refused(database: Database) -> None:
    queue = make_queue(max_running=1, max_waiting=0)
    with database.transaction() as tx:
        assert _starts(database, tx, queue)
        _add(tx, "stm_1", **RUNNING)
        with pytest.raises(QueueFullError):
            _starts(database, tx, queue)


def test_a_batch_starts_at_once_only_in_what_is_free(database: Database) -> None:
    held = _batch("bat_1", cores=3, **RUNNING)
    with database.transaction() as tx:
        add(tx, [first_step(held)], plan=None, summary=Summary())
        assert _starts(database, tx, make_queue(), _batch("bat_2"), cores=4)
        assert not _starts(database, tx, make_queue(), _batch("bat_2", cores=2), cores=4)


def test_a_batch_does_not_pass_one_that_waits_in_another_queue(database: Database) -> None:
    held = _batch("bat_1", cores=2, deadline=NOW + timedelta(minutes=1), **RUNNING)
    first = _batch("bat_2", cores=3, queue="night")
    with database.transaction() as tx:
        _kept(tx, make_queue(name="night"))
        for job in (held, first):
            add(tx, [first_step(job)], plan=None, summary=Summary())
        asked = _batch("bat_3", cores=2, deadline=NOW + timedelta(hours=1))
        assert not _starts(database, tx, make_queue(), asked, cores=4)


def test_engines_hold_their_memory_against_batches(database: Database) -> None:
    asked = _batch("bat_1", memory_bytes=5 * GIB)
    with database.transaction() as tx:
        assert _starts(database, tx, make_queue(), asked, cores=4)
        plan_run(
            tx,
            run_id=RunId("run_1"),
            project_id=PROJECT,
            queue="default",
            engine=EngineName.SAIL,
            owner="a",
            at=NOW,
            memory_bytes=4 * GIB,
        )
        assert not _starts(database, tx, make_queue(), asked, cores=4)
        tx.execute(delete(runs))
        _add(tx, "stm_1", **RUNNING)
        assert _starts(database, tx, make_queue(), asked, cores=4), "2 GiB are about to be used"
        assert not _starts(
            database, tx, make_queue(), _batch("bat_2", memory_bytes=7 * GIB), cores=4
        )


def test_an_engine_starts_only_beside_the_batches(database: Database) -> None:
    held = _batch("bat_1", memory_bytes=7 * GIB, **RUNNING)
    with database.transaction() as tx:
        add(tx, [first_step(held)], plan=None, summary=Summary())
        assert _starts(database, tx, make_queue(), cores=4), "its engine is here already"
        assert not _starts(database, tx, make_queue(), cores=4, served=False)


@pytest.mark.parametrize(
    ("limits", "job", "field"),
    [
        ({"kinds": frozenset({JobKind.BATCH})}, make_job(), "kind"),
        ({"default_engine": "spark", "engines": frozenset({EngineName.SPARK})}, make_job(),
         "engine"),
        ({"max_priority": 2}, make_job(priority=3), "priority"),
        ({"min_priority": -2}, make_job(priority=-3), "priority"),
        ({"max_cu": 1}, _batch("bat_1", cores=2), "size"),
    ],
)  # fmt: skip
def test_what_a_queue_never_takes_is_refused(
    database: Database, limits: dict[str, Any], job: Job, field: str
) -> None:
    limits = {name: EngineName(value) if isinstance(value, str) else value
              for name, value in limits.items()}  # fmt: skip
    with database.transaction() as tx, pytest.raises(QueueRefusesError) as caught:
        _starts(database, tx, make_queue(**limits), job)
    assert caught.value.details["field"] == field


def test_a_drained_queue_takes_only_what_belongs_to_a_run_under_way(database: Database) -> None:
    drained = make_queue(state=QueueState.DRAINING)
    child = make_job(parent_id=JobId("plr_1"))
    with database.transaction() as tx:
        with pytest.raises(QueueClosedError):
            _starts(database, tx, drained)
        assert _starts(database, tx, drained, child)
        with pytest.raises(QueueClosedError):
            _starts(database, tx, make_queue(state=QueueState.CLOSED), child)


def test_claims_keep_order_and_limit_and_room(database: Database) -> None:
    ledger = _ledger(database)
    with database.transaction() as tx:
        _add(tx, "stm_1", "stm_2", "stm_3", "stm_4")
        place = _kept(tx, make_queue(max_running=3))
        assert _claim(ledger, tx, place, most=2) == ["stm_1", "stm_2"]
        assert _claim(ledger, tx, place) == ["stm_3"]
        job = load(tx, JobId("stm_1"))
        assert job is not None
        assert (job.state, job.owner, job.attempt) == (JobState.STARTING, "a", 1)
        assert load_of(tx, make_queue()).waiting == 1
        assert load_of(tx, make_queue()).computing == 3


def test_a_job_that_somebody_cancelled_meanwhile_is_passed_over(database: Database) -> None:
    with database.transaction() as tx:
        _kept(tx, make_queue())
        first, second = _add(tx, "stm_1", "stm_2")
        wanted = [waiting_of(first), waiting_of(second)]
        apply(tx, first, CancelRequested(at=NOW))
        started = start_waiting(
            _ledger(database), tx, wanted, now=NOW, claim=lambda *_: CLAIM, pay=_unpaid
        )
    assert [each.job.id for each in started] == ["stm_2"]


def test_what_was_chosen_before_the_locks_passes_no_limit(database: Database) -> None:
    with database.transaction() as tx:
        _kept(tx, make_queue(max_running=2))
        wanted = [waiting_of(job) for job in _add(tx, "stm_1", "stm_2", "stm_3")]
        _add(tx, "stm_0", **RUNNING)
        started = start_waiting(
            _ledger(database), tx, wanted, now=NOW, claim=lambda *_: CLAIM, pay=_unpaid
        )
        assert [each.job.id for each in started] == ["stm_1"]
        assert [event.kind for event in history(tx, JobId("stm_1"))] == ["submitted", "claimed"]


def test_one_that_is_not_paid_for_goes_on_waiting(database: Database) -> None:
    asked: list[str] = []

    def pay(_tx: Tx, job: Job) -> Job | None:
        asked.append(job.id)
        return None if job.id == "stm_1" else job

    with database.transaction() as tx:
        _kept(tx, make_queue())
        unpaid = _add(tx, "stm_1", "stm_2", not_before=NOW)
        wanted = [waiting_of(job) for job in (*unpaid, *_add(tx, "stm_3"))]
        started = start_waiting(
            _ledger(database), tx, wanted, now=NOW, claim=lambda *_: CLAIM, pay=pay
        )
    assert ([each.job.id for each in started], asked) == (["stm_2", "stm_3"], ["stm_1", "stm_2"])


def test_waiting_jobs_are_counted_to_the_bound_only(database: Database) -> None:
    with database.transaction() as tx:
        _add(tx, *(f"stm_{number}" for number in range(5)))
        assert load_of(tx, make_queue(max_waiting=3)).waiting == 3
        assert load_of(tx, make_queue(max_waiting=9)).waiting == 5


def test_two_replicas_never_pass_a_limit_together(database_url: str) -> None:
    """Each has a place of its own, so that only the turns of the queue hold them apart."""
    replicas = {name: Database(database_url) for name in ("a", "b")}
    with replicas["a"].transaction() as tx:
        _add(tx, *(f"stm_{number:02}" for number in range(4)))
        _kept(tx, make_queue(max_running=2))
        wanted = heads(tx, now=NOW, each=16)
    claimed: list[str] = []
    both = threading.Barrier(2)

    def claim(_job: Job, _cluster: str | None) -> Claimed:
        with contextlib.suppress(threading.BrokenBarrierError):
            both.wait(timeout=0.5)
        return CLAIM

    def start(name: str, jobs: Sequence[Waiting]) -> None:
        database = replicas[name]
        ledger = _ledger(database, replica=name)
        with database.transaction() as tx:
            for each in start_waiting(ledger, tx, jobs, now=NOW, claim=claim, pay=_unpaid):
                claimed.append(each.job.id)

    _at_once(partial(start, "a", wanted[:2]), partial(start, "b", wanted[2:]))
    for database in replicas.values():
        database.close()
    assert len(claimed) == 2


def test_rounds_of_two_queues_never_take_the_same_room(database_url: str) -> None:
    """Both have chosen with the whole machine free, and only one of them can have it."""
    replicas = [Database(database_url) for _ in range(2)]
    with replicas[0].transaction() as tx:
        for queue in ("one", "two"):
            _kept(tx, make_queue(name=queue))
            job = _batch(f"bat_{queue}", cores=4, queue=queue)
            add(tx, [first_step(job)], plan=None, summary=Summary())
        wanted = [job for job in heads(tx, now=NOW, each=16) if job.kind is JobKind.BATCH]
    assert len(wanted) == 2
    claimed: list[str] = []
    both = threading.Barrier(2)

    def claim(_job: Job, _cluster: str | None) -> Claimed:
        with contextlib.suppress(threading.BrokenBarrierError):
            both.wait(timeout=0.5)  # the other one comes only where nothing holds it up
        return CLAIM

    def start(database: Database, job: Waiting) -> None:
        ledger = _ledger(database, cores=4)
        with database.transaction() as tx:
            for each in start_waiting(ledger, tx, [job], now=NOW, claim=claim, pay=_unpaid):
                claimed.append(each.job.id)

    _at_once(*(partial(start, *each) for each in zip(replicas, wanted, strict=True)))
    for replica in replicas:
        replica.close()
    assert len(claimed) == 1


def test_two_drivers_cannot_take_each_others_part(database_url: str) -> None:
    """Two queues, one machine: whoever is second sees what the first one holds."""
    replicas = [Database(database_url) for _ in range(2)]
    with replicas[0].transaction() as tx:
        _kept(tx, make_queue(name="one"))
        _kept(tx, make_queue(name="two"))
    started: list[str] = []
    start = threading.Barrier(2)

    def submit(database: Database, queue: str) -> None:
        start.wait()
        for number in range(4):
            job = _batch(f"bat_{queue}{number}", cores=2, queue=queue)
            with database.transaction() as tx:
                ledger = _ledger(database, cores=6)
                if let_in(ledger, tx, job, room=True, served=False, now=NOW).starts:
                    running = _batch(f"bat_{queue}{number}", cores=2, queue=queue, **RUNNING)
                    add(tx, [first_step(running)], plan=None, summary=Summary())
                    started.append(running.id)

    _at_once(*(partial(submit, *each) for each in zip(replicas, ("one", "two"), strict=True)))
    for replica in replicas:
        replica.close()
    assert len(started) == 3


def test_a_queue_that_was_deleted_lets_nobody_in(database: Database) -> None:
    with database.transaction() as tx, pytest.raises(QueueMissingError):
        let_in(
            _ledger(database), tx, make_job(queue="gone", project_id=ProjectId("p")),
            room=True, now=NOW,
        )  # fmt: skip


def _unpaid(_tx: Tx, job: Job) -> Job:
    raise AssertionError(f"{job.id} was paid for when it was taken")
