"""Engines of replicas that are gone, in a place that all share."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from jobs.engines.records import Records
from jobs.lifecycle.spec import EngineName
from jobs.store.run_rows import plan_run, runs
from storage.base.clock import ManualClock
from storage.base.ids import ProjectId
from storage.meta.database import Database
from storage.meta.schema import METADATA
from tests.support.fleets import Site
from tests.support.runs import NOW, spec


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    made = Database(f"sqlite:///{tmp_path}/meta.db")
    with made.transaction() as tx:
        METADATA.create_all(tx, tables=[runs])
    yield made
    made.close()


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Site]:
    made = Site(tmp_path / "runs", place="kubernetes")
    yield made
    for run_id in list(made.running()):
        made.stop(run_id, grace=NOW)
    made.close()


@pytest.mark.parametrize(("minutes", "ended"), [(4, False), (6, True)])
def test_an_engine_of_a_silent_replica_is_ended_by_another(
    database: Database, place: Site, minutes: int, ended: bool
) -> None:
    """A pod that no node takes would wait, and hold its part of a quota, for ever."""
    clock = ManualClock()
    engine = spec(place, "exec sleep 1000")
    with database.transaction() as tx:
        plan_run(
            tx,
            run_id=engine.run_id,
            project_id=ProjectId("a"),
            queue="q",
            engine=EngineName.SAIL,
            owner="one that is gone",
            at=clock.now(),
        )
    place.launch(engine)
    clock.advance(timedelta(minutes=minutes))
    Records(database=database, clock=clock, owner="another").seen(place)
    assert place.status(engine.run_id).state.ended is ended
