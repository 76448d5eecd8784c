from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from jobs.engines.obstacles import ObstacleKeeper, obstacle_of
from jobs.launchers.api import RunState, RunStatus
from jobs.launchers.problems import Again, Blame, Problem
from jobs.lifecycle.runs import run_id_of
from jobs.lifecycle.spec import EngineName
from jobs.store import run_rows
from storage.base.ids import RunId
from storage.meta.database import Database
from storage.meta.schema import METADATA
from tests.support.jobs import NOW, make_job

FULL = Problem(
    code="unschedulable", message="0/2 nodes fit", blame=Blame.PLATFORM, again=Again.LATER
)
IMAGE = replace(FULL, code="image_unavailable", message="no such image")
ENGINE = RunId("run_engine")
JOB = make_job(attempt=1)


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    made = Database(f"sqlite:///{tmp_path}/meta.db")
    with made.transaction() as tx:
        METADATA.create_all(tx, tables=[run_rows.runs])
        run_rows.plan_job_run(tx, run_id=run_id_of(JOB), job=JOB, engine=None, owner="a", at=NOW)
        run_rows.plan_run(
            tx, run_id=ENGINE, project_id=JOB.project_id, queue=JOB.queue,
            engine=EngineName.SPARK, owner="a", at=NOW,
        )  # fmt: skip
    yield made
    made.close()


def status(run_id: RunId, state: RunState = RunState.RUNNING, **more: Any) -> RunStatus:
    return RunStatus(run_id=run_id, state=state, **more)


def found(database: Database, engine: EngineName | None = None) -> str | None:
    with database.read() as tx:
        obstacle = run_rows.obstacle_for(tx, JOB, engine)
    return None if obstacle is None else obstacle.reason


def test_a_pod_that_does_not_start_is_told_before_its_executors() -> None:
    both = status(ENGINE, RunState.STARTING, problem=IMAGE, made_problem=FULL)
    own = obstacle_of(both)
    assert own is not None
    assert (own.reason, own.executors, own.blame) == ("image_unavailable", False, "platform")
    made = obstacle_of(replace(both, state=RunState.RUNNING))
    assert made is not None
    assert (made.reason, made.executors, made.hint) == ("unschedulable", True, FULL.hint)


def test_what_has_ended_has_nothing_in_its_way() -> None:
    assert obstacle_of(status(ENGINE, RunState.EXITED, problem=FULL, made_problem=FULL)) is None


def test_an_obstacle_is_there_until_it_is_gone(database: Database) -> None:
    keeper = ObstacleKeeper(database=database, run_id=run_id_of(JOB))
    keeper.tell(status(run_id_of(JOB), made_problem=FULL))
    assert found(database) == "unschedulable"
    keeper.tell(status(run_id_of(JOB), made_problem=IMAGE))
    assert found(database) == "image_unavailable"
    keeper.tell(status(run_id_of(JOB)))
    assert found(database) is None


def test_who_takes_a_run_over_clears_what_another_wrote(database: Database) -> None:
    ObstacleKeeper(database=database, run_id=run_id_of(JOB)).tell(
        status(run_id_of(JOB), made_problem=FULL)
    )
    heir = ObstacleKeeper(database=database, run_id=run_id_of(JOB), known=False)
    heir.tell(status(run_id_of(JOB)))
    assert found(database) is None


def test_an_engines_obstacle_is_that_of_jobs_which_use_it(database: Database) -> None:
    ObstacleKeeper(database=database, run_id=ENGINE).tell(status(ENGINE, made_problem=FULL))
    assert found(database, EngineName.SPARK) == "unschedulable"
    assert found(database, EngineName.SAIL) is None
    assert found(database) is None, "it has a run of its own"


def test_nothing_is_written_while_nothing_changes(database: Database) -> None:
    keeper = ObstacleKeeper(database=database, run_id=ENGINE)
    keeper.tell(status(ENGINE, made_problem=FULL))
    with database.transaction() as tx:
        run_rows.tell_obstacle(tx, ENGINE, None)
    keeper.tell(status(ENGINE, made_problem=FULL))
    assert found(database, EngineName.SPARK) is None
