"""Engines that are kept though nobody uses them, and those that go because others need room."""

from __future__ import annotations

from datetime import timedelta

from jobs.engines.members import Key
from jobs.engines.pool import EnginePool
from jobs.lifecycle.spec import EngineName
from storage.base.ids import ProjectId
from tests.integration.test_pool import SAIL, Pools, acquire, eventually, pools

__all__ = ["pools"]  # the fixture

A = ProjectId("a")


def _serves(pool: EnginePool, queue: str = "q") -> bool:
    return pool.serves(project_id=A, queue=queue, engine=SAIL)


def test_a_warm_engine_is_there_before_the_first_statement_and_never_idle(pools: Pools) -> None:
    pool = pools.pool(idle=timedelta(0))
    assert not _serves(pool)
    pool.keep_warm([Key(project_id=A, queue="q", engine=EngineName.SAIL)])
    assert _serves(pool)
    eventually(lambda: [each.state for each in pool.views()] == ["ready"])
    assert pool.tick() == 0
    pool.keep_warm([Key(project_id=A, queue="q", engine=EngineName.SAIL)])
    assert len(pool.views()) == 1
    pool.keep_warm([])
    assert pool.tick() == 1
    assert not _serves(pool)


def test_room_is_made_by_the_engine_that_was_idle_for_longest(pools: Pools) -> None:
    pool = pools.pool()
    used, old, young = (acquire(pool, queue=queue) for queue in ("used", "old", "young"))
    eventually(lambda: not any(pool.users(each) > 1 for each in (used, old, young)))
    assert not pool.make_room(), "all are in use"
    pool.release(old)
    pool.release(young)
    assert pool.make_room()
    assert not _serves(pool, "old")
    assert _serves(pool, "young")
    assert pool.tick() == 1
    assert pools.row(old.run_id)["reason"] == "room"
    assert pools.row(old.run_id)["memory_bytes"] == 2 * 2**30


def test_a_warm_engine_makes_no_room(pools: Pools) -> None:
    pool = pools.pool()
    pool.keep_warm([Key(project_id=A, queue="q", engine=EngineName.SAIL)])
    eventually(lambda: [each.state for each in pool.views()] == ["ready"])
    pool.release(acquire(pool))
    assert not pool.make_room()
