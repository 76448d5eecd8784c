"""What is reserved where."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

from sqlalchemy import select

from jobs.clusters import Clusters
from jobs.launchers.api import UNBOUNDED, Capacity
from jobs.lifecycle.spec import EngineName, JobKind
from jobs.lifecycle.states import JobState
from jobs.queues.demand import Place, Server
from jobs.queues.ledger import FRESH, Ledger
from jobs.queues.loads import UserLoad, queue_load
from jobs.queues.store import create
from jobs.store.jobs import Summary, add, first_step
from jobs.store.rows import capacities
from jobs.store.run_rows import end_run, plan_run
from storage.base.clock import SystemClock
from storage.base.ids import JobId, RunId, UserId
from storage.meta.database import Database, Tx
from tests.support.fleets import make_fleet
from tests.support.jobs import NOW, PROJECT, SPECS, make_job, make_queue

GIB = 2**30
DEFAULT = Place(PROJECT, "default")


def _ledger(database: Database, name: str = "a", cores: int = 4) -> Ledger:
    return Ledger(
        database=database,
        replica=name,
        engine_cu={EngineName.SAIL: 2},
        engine_memory={EngineName.SAIL: 2 * GIB},
        measure=lambda: Capacity(cpu_millis=cores * 1000, memory_bytes=cores * GIB),
    )


def _run(tx: Tx, name: str, owner: str = "a", **changes: object) -> None:
    job = make_job(id=JobId(name), state=JobState.RUNNING, owner=owner, lease_until=NOW, **changes)
    add(tx, [first_step(job)], plan=None, summary=Summary())


def _batch(tx: Tx, name: str, owner: str = "a", **changes: object) -> None:
    spec = SPECS[JobKind.BATCH]
    sizes = {"cpu_millis": 1000, "memory_bytes": GIB}
    _run(tx, name, owner, kind=JobKind.BATCH, spec=spec, **sizes | changes)


def test_jobs_of_other_machines_are_elsewhere(database: Database) -> None:
    with database.transaction() as tx:
        create(tx, make_queue())
        _batch(tx, "bat_1")
        _batch(tx, "bat_2", owner="b")
        room = _ledger(database).room(tx, set())
    assert sorted(each.here for each in room.running) == [False, True]
    assert set(room.queues) == {DEFAULT}


def test_statements_are_counted_together_and_batches_one_by_one(database: Database) -> None:
    late = NOW + timedelta(hours=1)
    with database.transaction() as tx:
        _run(tx, "stm_1")
        _run(tx, "stm_2", deadline=late)
        _batch(tx, "bat_1")
        _batch(tx, "bat_2", deadline=late)
        running = _ledger(database).room(tx, set()).running
    assert sorted((each.count, each.cpu_millis) for each in running) == [
        (1, 1000), (1, 1000), (2, 0),
    ]  # fmt: skip
    (statements,) = (each for each in running if each.engine is not None)
    assert statements.ends_by == late


def test_an_engine_that_is_about_to_live_is_counted(database: Database) -> None:
    server = Server(DEFAULT, EngineName.SAIL)
    ledger = _ledger(database)
    with database.transaction() as tx:
        _run(tx, "stm_1")
        assert ledger.room(tx, set()).servers == {server: 2 * GIB}
        run_id = RunId("run_1")
        plan_run(
            tx, run_id=run_id, project_id=PROJECT, queue="default", engine=EngineName.SAIL,
            owner="a", at=NOW, memory_bytes=3 * GIB,
        )  # fmt: skip
        assert ledger.room(tx, set()).servers == {server: 3 * GIB}
        end_run(tx, run_id, at=NOW, exit_code=0, reason="idle")
        assert ledger.room(tx, set()).servers == {server: 2 * GIB}


def test_the_largest_living_place_is_told_to_those_who_start_nothing(database: Database) -> None:
    asking = Ledger(database=database, replica="api", engine_cu={})
    asking.report(NOW)
    _ledger(database, "small", 2).report(NOW)
    _ledger(database, "large", 8).report(NOW - FRESH)
    _ledger(database, "small", 2).report(NOW)
    with database.read() as tx:
        assert asking.best_place(tx, NOW) == (
            "large", Capacity(cpu_millis=8000, memory_bytes=8 * GIB),
        )  # fmt: skip
        later = asking.best_place(tx, NOW + timedelta(seconds=1))
        assert later is not None
        assert later[0] == "small"
        assert asking.best_place(tx, NOW + 2 * FRESH) is None


def test_a_queue_tells_who_runs_and_waits(database: Database) -> None:
    queue = make_queue()
    with database.transaction() as tx:
        _run(tx, "stm_1", user_id="ann")
        _run(tx, "stm_2", user_id="bob")
        _batch(tx, "bat_1", user_id="bob")
        _run(tx, "plr_1", user_id="eve", kind=JobKind.PIPELINE, spec=SPECS[JobKind.PIPELINE])
        for name in ("stm_3", "stm_4"):
            job = make_job(id=JobId(name), user_id="cy")
            add(tx, [first_step(job)], plan=None, summary=Summary())
        load = queue_load(tx, queue, engine_cu={EngineName.SAIL: 2})
    assert (load.running, load.waiting, load.cu_millis) == (3, 2, 3000)
    assert load.users == {
        "ann": UserLoad(running=1),
        "bob": UserLoad(running=2),
        "cy": UserLoad(waiting=2),
    }


def _fleet_ledger(database: Database, root: Path) -> tuple[Ledger, Clusters]:
    fleet, _ = make_fleet(root, eu=4)
    clusters = Clusters(database=database, clock=SystemClock(), launcher=fleet)
    ledger = Ledger(
        database=database,
        replica="a",
        engine_cu={EngineName.SAIL: 2},
        engine_memory={EngineName.SAIL: 2 * GIB},
        measure=fleet.capacity,
        shared="kubernetes",
        clusters=clusters,
    )
    return ledger, clusters


def test_what_a_cluster_does_not_say_is_told_to_nobody(database: Database, tmp_path: Path) -> None:
    """It would be looked for in vain: ten thousand cores."""
    fleet, sites = make_fleet(tmp_path, eu=4)
    sites["eu"]._size = UNBOUNDED
    fleet.look()
    clusters = Clusters(database=database, clock=SystemClock(), launcher=fleet)
    told = {view.name: view.capacity for view in clusters.views()}
    assert (told["eu"], told["default"] is None) == (None, False)


def test_what_runs_is_counted_in_its_cluster(database: Database, tmp_path: Path) -> None:
    ledger, _ = _fleet_ledger(database, tmp_path)
    with database.transaction() as tx:
        create(tx, make_queue())
        _batch(tx, "bat_1", owner="other", cluster="eu")
        _batch(tx, "bat_2")
        _run(tx, "stm_1", cluster="eu")
        plan_run(
            tx, run_id=RunId("run_1-eu"), project_id=PROJECT, queue="default",
            engine=EngineName.SPARK, owner="a", at=NOW, memory_bytes=3 * GIB,
        )  # fmt: skip
        room = ledger.room(tx, set())
    assert sorted(each.cluster for each in room.running) == ["default", "eu", "eu"]
    assert {name: each.engines for name, each in room.clusters.items()} == {
        "default": 0, "eu": 5 * GIB,
    }  # fmt: skip
    assert room.capacity is not None
    assert room.capacity.cpu_millis == 12_000


def test_engines_of_a_drained_cluster_take_no_statements(
    database: Database, tmp_path: Path
) -> None:
    ledger, clusters = _fleet_ledger(database, tmp_path)
    with database.transaction() as tx:
        plan_run(
            tx, run_id=RunId("run_1-eu"), project_id=PROJECT, queue="default",
            engine=EngineName.SAIL, owner="a", at=NOW, memory_bytes=3 * GIB,
        )  # fmt: skip
        assert set(ledger.room(tx, set()).servers) == {Server(DEFAULT, EngineName.SAIL)}
    clusters.drain("eu", by=UserId("usr_1"))
    with database.read() as tx:
        room = ledger.room(tx, set())
    assert (room.servers, room.clusters["eu"].closed) == ({}, "is drained")
    assert room.capacity is not None
    assert room.capacity.cpu_millis == 8000, "shares are of what is open"


def test_each_cluster_is_a_place_of_its_own(database: Database, tmp_path: Path) -> None:
    ledger, _ = _fleet_ledger(database, tmp_path)
    ledger.report(NOW)
    with database.read() as tx:
        rows = {row.place: row.cpu_millis for row in tx.execute(select(capacities))}
    assert rows == {"kubernetes": 8000, "kubernetes/default": 8000, "kubernetes/eu": 4000}
