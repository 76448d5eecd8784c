"""What a waiting job is told."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from jobs.history.store import FINISHED, Observation, note
from jobs.launchers.api import Capacity
from jobs.lifecycle.job import Job
from jobs.lifecycle.spec import EngineName, JobKind
from jobs.lifecycle.states import JobState
from jobs.queues.definitions import QueueDef, QueueState
from jobs.queues.ledger import Ledger
from jobs.queues.store import create
from jobs.queues.waits import wait_of
from jobs.store.jobs import Summary, add, first_step
from jobs.usage import Quote
from jobs.views import Wait
from storage.base.ids import JobId, ProjectId
from storage.meta.database import Database, Tx
from tests.support.jobs import NOW, PROJECT, SPECS, make_job, make_queue

GIB = 2**30
RUNNING: dict[str, Any] = {"state": JobState.RUNNING, "owner": "a", "lease_until": NOW}
CHEAP = Quote(amount=7, currency="USD", price_class="economy", priced_at=NOW, quantities={})


def _keep(tx: Tx, *jobs: Job) -> None:
    for job in jobs:
        add(tx, [first_step(job)], plan=None, summary=Summary())


def _batch(name: str, cores: int, **changes: object) -> Job:
    values: dict[str, Any] = {
        "id": JobId(name),
        "kind": JobKind.BATCH,
        "spec": SPECS[JobKind.BATCH],
        "cpu_millis": cores * 1000,
        "memory_bytes": GIB,
        "deadline": NOW + timedelta(hours=1),
    }
    return make_job(**values | changes)


def _price(queue: QueueDef) -> Quote | None:
    return CHEAP if queue.price_class == "economy" else None


def _told(database: Database, tx: Tx, job: Job, cores: int = 4) -> Wait:
    ledger = Ledger(
        database=database,
        replica="a",
        engine_cu={EngineName.SAIL: 1},
        measure=lambda: Capacity(cpu_millis=cores * 1000, memory_bytes=64 * GIB),
    )
    wait = wait_of(ledger, tx, job, now=NOW, prices=_price)
    assert wait is not None
    return wait


def _options(wait: Wait) -> list[tuple[str, str]]:
    return [(option.change, option.value) for option in wait.options]


def test_the_place_counts_those_who_are_before_it(database: Database) -> None:
    waiting = [make_job(id=JobId(f"stm_{number}")) for number in range(1, 4)]
    urgent = make_job(id=JobId("stm_9"), priority=1)
    with database.transaction() as tx:
        create(tx, make_queue(max_running=1))
        _keep(tx, make_job(id=JobId("stm_0"), **RUNNING), *waiting, urgent)
        told = [_told(database, tx, job) for job in (urgent, *waiting)]
    assert [wait.position for wait in told] == [1, 2, 3, 4]
    assert [wait.reason for wait in told] == ["queue_full"] * 4


def test_what_nothing_holds_up_starts_in_a_moment(database: Database) -> None:
    job = make_job()
    with database.transaction() as tx:
        create(tx, make_queue())
        _keep(tx, job)
        assert _told(database, tx, job).reason == "starting_soon"


def test_another_queue_is_offered_with_its_price(database: Database) -> None:
    job = make_job()
    with database.transaction() as tx:
        create(tx, make_queue(max_running=1))
        create(tx, make_queue(name="slow", price_class="economy"))
        create(tx, make_queue(name="shut", state=QueueState.CLOSED))
        create(tx, make_queue(name="other", kinds=frozenset({JobKind.TASK})))
        create(tx, make_queue(name="foreign", project_id=ProjectId("p2")))
        _keep(tx, make_job(id=JobId("stm_0"), **RUNNING), job)
        wait = _told(database, tx, job)
    assert _options(wait) == [("queue", "slow")]
    assert wait.options[0].quote == CHEAP


def test_the_least_priority_that_helps_is_offered(database: Database) -> None:
    queue = make_queue(max_cu=1)
    held = _batch("bat_0", 3, **RUNNING)
    before = _batch("bat_1", 1, priority=2)
    job = _batch("bat_2", 1)
    with database.transaction() as tx:
        create(tx, make_queue())
        _keep(tx, held, before, job)
        wait = _told(database, tx, job)
        assert queue.max_priority == 10
    assert (wait.reason, wait.position) == ("capacity", 2)
    assert _options(wait) == [("priority", "3")]


def test_a_smaller_size_is_offered(database: Database) -> None:
    job = _batch("bat_1", 4)
    with database.transaction() as tx:
        create(tx, make_queue())
        _keep(tx, _batch("bat_0", 2, **RUNNING), job)
        wait = _told(database, tx, job)
    assert wait.detail == "it needs 4 cores, and 2 cores are free"
    assert _options(wait) == [("size", "2 cores, 536.9 MB")]


def test_the_start_is_guessed_by_what_ran_lately(database: Database) -> None:
    first, second = (make_job(id=JobId(name)) for name in ("stm_1", "stm_2"))
    with database.transaction() as tx:
        create(tx, make_queue(max_running=1))
        _keep(tx, make_job(id=JobId("stm_0"), **RUNNING), first, second)
        assert _told(database, tx, first).starts_at is None
        for number, seconds in enumerate((10, 30, 500)):
            note(
                tx,
                Observation(
                    job_id=JobId(f"old_{number}"),
                    attempt=1,
                    project_id=PROJECT,
                    queue="default",
                    fingerprint="f",
                    kind=JobKind.STATEMENT,
                    outcome=FINISHED,
                    at=NOW,
                    wall=timedelta(seconds=seconds),
                ),
            )
        assert _told(database, tx, second).starts_at == NOW + timedelta(seconds=60)


def test_a_pause_ends_when_it_ends(database: Database) -> None:
    job = make_job(not_before=NOW + timedelta(seconds=5), attempt=1)
    with database.transaction() as tx:
        create(tx, make_queue())
        _keep(tx, job)
        wait = _told(database, tx, job)
    assert (wait.reason, wait.starts_at) == ("retry_pause", NOW + timedelta(seconds=5))


def test_a_closed_queue_promises_no_start(database: Database) -> None:
    job = make_job()
    with database.transaction() as tx:
        create(tx, make_queue(state=QueueState.CLOSED))
        _keep(tx, job)
        wait = _told(database, tx, job)
    assert (wait.reason, wait.starts_at) == ("queue_closed", None)
