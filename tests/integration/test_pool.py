"""The pool over real Sail servers: what it shares, starts, stops, kills and writes down."""

from __future__ import annotations

import os
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import psutil
import pytest
from sqlalchemy import select

from jobs.access.credentials import Access, Credentials, CredentialsMissingError, shared
from jobs.engines.api import EngineClient, EngineNeed, Images
from jobs.engines.errors import (
    EngineLostError,
    EngineOutOfMemoryError,
    EngineStartError,
    StatementInterruptedError,
)
from jobs.engines.members import Key
from jobs.engines.pool import EngineHandle, EnginePool, PoolSettings
from jobs.engines.sail import SailEngine, SailSettings
from jobs.launchers.api import RunSpec, RunStatus
from jobs.launchers.local import LocalLauncher
from jobs.launchers.problems import Again, Blame, Problem
from jobs.lifecycle.spec import EngineName
from jobs.store.run_rows import runs
from storage.base.clock import SystemClock
from storage.base.ids import ProjectId, RunId
from storage.meta.database import Database
from storage.meta.schema import METADATA
from tests.support.engines import run
from tests.support.proxies import Gate

SAIL = EngineName.SAIL
BURNING = "SELECT sum(id % 7 * (id % 11)) AS s FROM range(100000000000)"


@dataclass(kw_only=True)
class Pools:
    """Makes pools over one launcher and one database."""

    database: Database
    launcher: LocalLauncher
    made: list[EnginePool]

    def pool(
        self,
        *,
        engine: SailEngine | None = None,
        access: Access = shared,
        images: Images | None = None,
        **settings: Any,
    ) -> EnginePool:
        values = PoolSettings(owner="replica", **settings)
        engines = [engine or SailEngine(SailSettings())]
        pool = EnginePool(
            self.database,
            engines,
            self.launcher,
            SystemClock(),
            values,
            access=access,
            images=images,
        )
        self.made.append(pool)
        return pool

    def row(self, run_id: RunId) -> dict[str, object]:
        with self.database.read() as tx:
            found = tx.execute(select(runs).where(runs.c.id == run_id)).mappings().one()
        return dict(found)


@pytest.fixture
def pools(tmp_path: Path) -> Iterator[Pools]:
    database = Database(f"sqlite:///{tmp_path}/meta.db")
    with database.transaction() as tx:
        METADATA.create_all(tx, tables=[runs])
    made = Pools(database=database, launcher=LocalLauncher(tmp_path / "runs"), made=[])
    yield made
    for pool in made.made:
        pool.close()
    made.launcher.close()
    database.close()


def acquire(
    pool: EnginePool, *, project: str = "a", queue: str = "q", stop: threading.Event | None = None
) -> EngineHandle:
    return pool.acquire(
        project_id=ProjectId(project), queue=queue, engine=SAIL, stop=stop or threading.Event()
    )


def rows(handle: EngineHandle, sql: str = "SELECT 1 AS a") -> list[dict[str, object]]:
    session = handle.client.open_session()
    try:
        found: list[dict[str, object]] = run(session, sql).to_pylist()
        return found
    finally:
        session.release()


def eventually(holds: Callable[[], object], seconds: float = 20.0) -> None:
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, "never came about"
        threading.Event().wait(0.02)


def process(pools: Pools, handle: EngineHandle) -> psutil.Process:
    pid = pools.launcher.status(handle.run_id).pid
    assert pid is not None
    return psutil.Process(pid)


def test_engine_is_started_once_and_shared(pools: Pools) -> None:
    pool = pools.pool()
    handles: list[EngineHandle] = []
    threads = [threading.Thread(target=lambda: handles.append(acquire(pool))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({handle.run_id for handle in handles}) == 1
    assert rows(handles[0]) == [{"a": 1}]
    assert pool.counts().started == 1
    assert handles[0].version == "0.7.2"
    eventually(lambda: pool.users(handles[0]) == 8)
    [view] = pool.views()
    assert (view.state, view.users, view.served) == ("ready", 8, 0)
    assert view.start_seconds > 0


def test_projects_and_queues_do_not_share(pools: Pools) -> None:
    pool = pools.pool()
    ids = {
        acquire(pool, project=project, queue=queue).run_id
        for project, queue in (("a", "q"), ("a", "r"), ("b", "q"))
    }
    assert len(ids) == 3


def test_row_is_there_before_the_start_and_tells_the_end(pools: Pools) -> None:
    seen: list[dict[str, object]] = []

    class Spied(SailEngine):
        def plan(self, need: EngineNeed) -> RunSpec:
            spec = super().plan(need)
            assert not need.directory.exists()
            return spec

    launch = pools.launcher.launch

    def launched(spec: RunSpec) -> object:
        seen.append(pools.row(spec.run_id))
        return launch(spec)

    pools.launcher.launch = launched  # type: ignore[method-assign,assignment]
    pool = pools.pool(engine=Spied(SailSettings()), idle=timedelta(0))
    handle = acquire(pool)
    assert seen[0]["ready_at"] is None
    assert seen[0]["owner"] == "replica"
    eventually(lambda: pools.row(handle.run_id)["ready_at"] is not None)
    pool.release(handle)
    assert pool.tick() == 1
    row = pools.row(handle.run_id)
    assert (row["reason"], row["ended_at"] is None) == ("idle", False)
    assert isinstance(row["cpu_ms"], int)
    assert row["cpu_ms"] > 0


def test_full_engine_lets_the_next_wait(pools: Pools) -> None:
    pool = pools.pool(statements=1)
    first = acquire(pool)
    second: list[EngineHandle] = []
    thread = threading.Thread(target=lambda: second.append(acquire(pool)))
    thread.start()
    thread.join(0.3)
    assert not second
    pool.release(first)
    thread.join(60)
    assert second[0].run_id == first.run_id


def test_waiting_ends_at_the_stop_event(pools: Pools) -> None:
    pool = pools.pool(statements=1)
    acquire(pool)
    stop = threading.Event()
    threading.Timer(0.2, stop.set).start()
    began = time.monotonic()
    with pytest.raises(StatementInterruptedError):
        acquire(pool, stop=stop)
    assert time.monotonic() - began < 30, "it would wait for a place without end"


def test_idle_engine_is_stopped_and_the_next_is_another(pools: Pools) -> None:
    pool = pools.pool(idle=timedelta(seconds=1))
    handle = acquire(pool)
    server = process(pools, handle)
    assert pool.tick() == 0
    pool.release(handle)
    assert pool.tick() == 0
    threading.Event().wait(1.1)
    assert pool.tick() == 1
    assert not server.is_running()
    assert not pools.launcher.directory(handle.run_id).exists()
    assert acquire(pool).run_id != handle.run_id
    assert pool.counts().retired == {"idle": 1}


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"max_statements": 1}, "served enough"),
        ({"max_age": timedelta(0)}, "old"),
        ({"max_rss_share": 0.001}, "large"),
    ],
)
def test_worn_engine_is_replaced_when_its_last_statement_ended(
    pools: Pools, settings: dict[str, Any], reason: str
) -> None:
    pool = pools.pool(**settings)
    first, second = acquire(pool), acquire(pool)
    pool.release(first)
    assert pool.tick() == 0
    assert acquire(pool).run_id != first.run_id
    assert rows(second) == [{"a": 1}]
    pool.release(second)
    assert pool.tick() >= 1
    assert pools.row(first.run_id)["reason"] == reason


def test_condemned_engine_is_killed_and_its_statements_are_lost(pools: Pools) -> None:
    pool = pools.pool()
    handle = acquire(pool)
    raised: list[BaseException] = []

    def work() -> None:
        try:
            rows(handle, BURNING)
        except EngineLostError as error:
            raised.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    threading.Event().wait(0.5)
    server = process(pools, handle)
    pool.condemn(handle, "for the test")
    assert not server.is_running()
    thread.join(60)
    assert [type(error) for error in raised] == [EngineLostError]
    pool.condemn(handle, "again")
    pool.release(handle)
    assert pools.row(handle.run_id)["reason"] == "for the test"
    assert rows(acquire(pool)) == [{"a": 1}]


def test_engine_that_died_is_noticed_and_replaced(pools: Pools) -> None:
    pool = pools.pool()
    handle = acquire(pool)
    process(pools, handle).kill()
    eventually(lambda: pools.launcher.status(handle.run_id).state.ended)
    assert pool.tick() == 1
    assert pools.row(handle.run_id)["reason"] == "dead"
    assert rows(acquire(pool)) == [{"a": 1}]


def test_deaf_engine_is_killed(pools: Pools) -> None:
    pool = pools.pool(
        probe_every=timedelta(0),
        probe_timeout=timedelta(milliseconds=200),
        deaf_after=timedelta(milliseconds=500),
    )
    handle = acquire(pool)
    server = process(pools, handle)
    assert pool.tick() == 0
    server.suspend()
    eventually(lambda: pool.tick() == 1)
    assert not server.is_running()
    assert pools.row(handle.run_id)["reason"] == "deaf"


def test_failed_start_tells_everybody_with_the_log(pools: Pools) -> None:
    class Failing(SailEngine):
        def plan(self, need: EngineNeed) -> RunSpec:
            return RunSpec(
                run_id=need.run_id,
                command=("/bin/sh", "-c", "echo no licence; sleep 0.3; exit 9"),
                directory=need.directory,
                port=1,
            )

    pool = pools.pool(engine=Failing(SailSettings()))
    raised: list[EngineStartError] = []

    def work() -> None:
        try:
            acquire(pool)
        except EngineStartError as error:
            raised.append(error)

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(raised) == 3
    for error in raised:
        assert error.details["log"] == "no licence"
        assert error.details["exit_code"] == 9
        assert error.retryable
    eventually(lambda: not pool.views())


def test_engine_that_never_listens_is_given_up(pools: Pools) -> None:
    class Silent(SailEngine):
        def plan(self, need: EngineNeed) -> RunSpec:
            command = ("/bin/sleep", "1000")
            return RunSpec(run_id=need.run_id, command=command, directory=need.directory, port=1)

    pool = pools.pool(engine=Silent(SailSettings()), start_timeout=timedelta(milliseconds=300))
    with pytest.raises(EngineStartError, match="does not listen in time"):
        acquire(pool)
    eventually(lambda: not list(pools.launcher.running()))


def test_an_engine_that_cuts_off_its_first_callers_is_asked_again(pools: Pools) -> None:
    with ExitStack() as gates:

        class Hasty(SailEngine):
            def connect(self, address: str, token: str) -> EngineClient:
                host, _, port = address.rpartition(":")
                gate = gates.enter_context(Gate((host, int(port)), cut=2))
                return super().connect(f"127.0.0.1:{gate.port}", token)

        assert rows(acquire(pools.pool(engine=Hasty(SailSettings())))) == [{"a": 1}]


def test_a_mistake_of_ours_at_the_start_is_told_to_who_waits(pools: Pools) -> None:
    class Broken(SailEngine):
        def plan(self, need: EngineNeed) -> RunSpec:
            raise TypeError("a mistake")

    pool = pools.pool(engine=Broken(SailSettings()))
    with pytest.raises(EngineStartError, match="failed to start the engine"):
        acquire(pool)
    eventually(lambda: not pool.views())


def test_close_stops_all_and_wakes_those_who_wait(pools: Pools) -> None:
    pool = pools.pool(statements=1)
    server = process(pools, acquire(pool))
    raised: list[BaseException] = []

    def work() -> None:
        try:
            acquire(pool)
        except EngineStartError as error:
            raised.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    threading.Event().wait(0.1)
    pool.close()
    thread.join(60)
    assert raised
    assert not server.is_running()
    assert not list(pools.launcher.running())


def test_recover_kills_what_an_earlier_life_left(pools: Pools) -> None:
    handle = acquire(pools.pool())
    server = process(pools, handle)
    after = EnginePool(
        pools.database,
        [SailEngine(SailSettings())],
        LocalLauncher(pools.launcher.directory(handle.run_id).parent.parent),
        SystemClock(),
        PoolSettings(owner="replica"),
    )
    assert after.recover() == 1
    assert not server.is_running()
    assert pools.row(handle.run_id)["reason"] == "its service died"
    assert after.recover() == 0


def test_recover_leaves_the_jobs_of_others_in_a_shared_place(pools: Pools) -> None:
    run_id, launcher = RunId("run_of-another_1"), pools.launcher
    launcher.place = "shared"
    spec = RunSpec(
        run_id=run_id,
        command=("/bin/sleep", "1000"),
        directory=launcher.prepare(run_id),
        lease=timedelta(seconds=60),
    )
    launcher.launch(spec)
    assert pools.pool().recover() == 0
    assert run_id in set(launcher.running())
    launcher.stop(run_id, grace=timedelta(0))


def test_engine_killed_for_its_memory_is_diagnosed(pools: Pools) -> None:
    pool = pools.pool()
    first, lost = acquire(pool), EngineLostError("lost")
    pools.launcher.stop(first.run_id, grace=timedelta(0), reason="memory")
    assert isinstance(pool.diagnose(first, lost), EngineOutOfMemoryError)
    pool.tick()
    assert isinstance(pool.diagnose(first, lost), EngineOutOfMemoryError)


def test_shared_engine_out_of_memory_is_nobodys_fault(pools: Pools) -> None:
    pool = pools.pool()
    first, _, lost = acquire(pool), acquire(pool), EngineLostError("lost")
    pools.launcher.stop(first.run_id, grace=timedelta(0), reason="memory")
    assert pool.diagnose(first, lost) is lost


def test_thousand_statements_leave_nothing_behind(pools: Pools) -> None:
    pool = pools.pool()
    handle = acquire(pool)
    server, own = process(pools, handle), psutil.Process(os.getpid())
    pool.release(handle)

    def statements(count: int) -> None:
        for _ in range(count):
            taken = acquire(pool)
            session = taken.client.open_session()
            list(session.execute("SELECT 1", operation_id=str(uuid.uuid4())))
            session.release()
            pool.release(taken)

    statements(50)
    before = (own.num_fds(), own.num_threads(), len(own.children()), server.num_fds())
    statements(1000)
    after = (own.num_fds(), own.num_threads(), len(own.children()), server.num_fds())
    assert all(late <= early + 3 for early, late in zip(before, after, strict=True)), (
        before,
        after,
    )
    assert pool.views()[0].served == 1051


def test_an_engine_with_the_credentials_of_before_gets_no_more_statements(pools: Pools) -> None:
    now: list[Credentials | None] = [None]
    pool = pools.pool(access=lambda _: now[0])
    first = acquire(pool)
    now[0] = Credentials(service_account="sales")
    second = acquire(pool)
    assert second.run_id != first.run_id
    assert acquire(pool).run_id == second.run_id
    assert pool.counts().retired == {"credentials": 1}
    pool.tick()
    assert rows(first) == [{"a": 1}], "who was there goes on"
    pool.release(first)
    pool.tick()
    assert {view.run_id for view in pool.views()} == {second.run_id}


def test_an_idle_engine_goes_with_its_credentials(pools: Pools) -> None:
    now: list[Credentials | None] = [None]
    pool = pools.pool(access=lambda _: now[0])
    pool.release(acquire(pool))
    now[0] = Credentials(service_account="sales")
    eventually(lambda: pool.tick() or not pool.views())
    assert pool.counts().retired == {"credentials": 1}


def test_an_engine_ends_with_its_image_and_its_last_statement(pools: Pools) -> None:
    wanted = {"old:1"}
    pool = pools.pool(images=lambda _project, _queue: wanted)
    old = pool.acquire(
        project_id=ProjectId("a"), queue="q", engine=SAIL, image="old:1", stop=threading.Event()
    )
    wanted = {"new:1"}
    assert pool.tick() == 0
    assert rows(old) == [{"a": 1}]
    pool.release(old)
    eventually(lambda: pool.tick() or not pool.views())
    assert pool.counts().retired == {"image": 1}


class Crowded(LocalLauncher):
    """What its runs make has no place, while that is said."""

    problem: Problem | None = None

    def status(self, run_id: RunId) -> RunStatus:
        return replace(super().status(run_id), made_problem=self.problem)


def test_what_keeps_executors_from_starting_is_told_while_it_does(
    pools: Pools, tmp_path: Path
) -> None:
    launcher = Crowded(tmp_path / "crowded")
    pools.launcher = launcher
    pool = pools.pool()
    place: dict[str, Any] = {"project_id": ProjectId("a"), "queue": "q", "engine": SAIL}
    handle = acquire(pool)
    pool.tick()
    assert pool.obstacle(**place) is None
    launcher.problem = Problem(
        code="unschedulable", message="0/2 nodes", blame=Blame.PLATFORM, again=Again.LATER
    )
    pool.tick()
    obstacle = pool.obstacle(**place)
    assert obstacle is not None
    assert (obstacle.reason, obstacle.executors) == ("unschedulable", True)
    assert pools.row(handle.run_id)["obstacle"] == asdict(obstacle), "others can read it too"
    assert rows(handle) == [{"a": 1}], "it serves with those that it has"
    launcher.problem = None
    pool.tick()
    assert pool.obstacle(**place) is None
    assert pools.row(handle.run_id)["obstacle"] is None


def test_without_credentials_there_is_no_engine(pools: Pools) -> None:
    def refused(project_id: ProjectId) -> Credentials | None:
        raise CredentialsMissingError("none")

    pool = pools.pool(access=refused)
    with pytest.raises(CredentialsMissingError):
        acquire(pool)
    pool.keep_warm([Key(project_id=ProjectId("a"), queue="q", engine=SAIL)])
    assert pool.views() == ()
