"""Pipelines, revisions, nodes and backfills in rows, on both databases."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from typing import Any

import pytest

from jobs.pipelines import backfill_store, store
from jobs.pipelines.backfill_store import Backfill, BackfillState, Day, DayState
from jobs.pipelines.errors import (
    BackfillMissingError,
    PipelineChangedError,
    PipelineMissingError,
    RevisionMissingError,
)
from jobs.pipelines.graph import build
from jobs.pipelines.progress import NodeRun, NodeState
from jobs.pipelines.reading import read
from jobs.pipelines.store import Applied
from storage.base.errors import Failure
from storage.base.ids import JobId, ProjectId, UserId
from storage.meta.database import Database
from tests.support.jobs import NOW, PROJECT
from tests.support.pipelines import FULL, statement

USER = UserId("usr_1")
OTHER = ProjectId("other")
RUN = JobId("plr_1")


def apply(database: Database, given: dict[str, Any], **how: Any) -> Applied:
    pipeline = read({"name": "daily"} | given)
    values: dict[str, Any] = {"project_id": PROJECT, "user_id": USER, "at": NOW} | how
    with database.transaction() as tx:
        return store.apply(
            tx, pipeline=pipeline, graph=build(pipeline, database="default"), **values
        )


def of_one(sql: str) -> dict[str, Any]:
    return {"nodes": {"a": statement(sql)}}


def test_a_change_makes_a_revision_and_the_same_text_none(database: Database) -> None:
    first = apply(database, FULL)
    assert (first.revision.number, first.new) == (1, True)
    again = apply(database, dict(reversed(FULL.items())))
    assert (again.revision, again.new) == (first.revision, False)
    second = apply(database, of_one("SELECT 2"))
    assert (second.revision.number, second.new) == (2, True)
    with database.read() as tx:
        assert store.find(tx, PROJECT, "daily") == second.revision
        assert store.find(tx, PROJECT, "daily", number=1) == first.revision
        assert store.revisions(tx, PROJECT, "daily") == (second.revision, first.revision)
        assert store.every(tx, PROJECT) == (second.revision,)


def test_a_rollback_is_a_revision_that_says_so(database: Database) -> None:
    first = apply(database, of_one("SELECT 1"))
    apply(database, of_one("SELECT 2"))
    back = apply(database, of_one("SELECT 1"), rolled_back_to=1)
    assert (back.revision.number, back.revision.rolled_back_to) == (3, 1)
    assert back.revision.pipeline == first.revision.pipeline
    with database.read() as tx:
        assert store.find(tx, PROJECT, "daily").rolled_back_to == 1


def test_what_is_not_there_is_told_with_what_was_meant(database: Database) -> None:
    apply(database, of_one("SELECT 1"))
    with database.read() as tx:
        with pytest.raises(PipelineMissingError) as caught:
            store.find(tx, PROJECT, "dayly")
        assert caught.value.hint == "did you mean 'daily'?"
        with pytest.raises(RevisionMissingError, match="no revision 7"):
            store.find(tx, PROJECT, "daily", number=7)
        with pytest.raises(PipelineMissingError) as other:
            store.find(tx, OTHER, "daily")
        assert other.value.hint == "`dli pipeline list` has them"  # nothing of another project
        assert store.every(tx, OTHER) == ()


def test_a_deleted_pipeline_keeps_its_revisions(database: Database) -> None:
    first = apply(database, of_one("SELECT 1"))
    with database.transaction() as tx:
        store.delete(tx, PROJECT, "daily", at=NOW)
        assert store.every(tx, PROJECT) == ()
        assert store.find(tx, PROJECT, "daily", deleted=True) == first.revision
        with pytest.raises(PipelineMissingError):
            store.find(tx, PROJECT, "daily")
        with pytest.raises(PipelineMissingError):
            store.delete(tx, PROJECT, "daily", at=NOW)
    again = apply(database, of_one("SELECT 1"))
    assert (again.revision.number, again.new) == (2, True)


def test_who_applies_at_the_same_time_is_told(database: Database) -> None:
    pipeline = read({"name": "daily"} | of_one("SELECT 1"))
    graph = build(pipeline, database="default")
    apply(database, of_one("SELECT 0"))
    with database.read() as tx:
        seen = store.find(tx, PROJECT, "daily")
    apply(database, of_one("SELECT 2"))
    stale = replace(seen, pipeline=pipeline, graph=graph, number=2)
    with pytest.raises(PipelineChangedError), database.transaction() as tx:
        store.put_in_force(tx, stale, seen=1)


def test_nodes_come_back_and_are_compared_and_set(database: Database) -> None:
    failure = Failure(code="x", message="y", details={"at": 1})
    nodes = [
        NodeRun(run_id=RUN, node="a"),
        NodeRun(
            run_id=RUN,
            node="b",
            state=NodeState.FAILED,
            attempt=2,
            job_id=JobId("stm_1"),
            document={"kind": "statement", "sql": "SELECT 1"},
            outputs={"rows": 1},
            reason="so",
            failure=failure,
            not_before=NOW,
            started_at=NOW,
            ended_at=NOW + timedelta(seconds=1),
            taken_from=JobId("plr_0"),
        ),
    ]
    with database.transaction() as tx:
        store.start_nodes(tx, nodes)
    with database.read() as tx:
        assert list(store.nodes_of(tx, RUN).values()) == nodes
        assert store.nodes_of(tx, JobId("plr_2")) == {}
    running = replace(nodes[0], state=NodeState.RUNNING)
    with database.transaction() as tx:
        (written,) = store.write_nodes(tx, [running])
    assert written == replace(running, version=2)
    with pytest.raises(PipelineChangedError), database.transaction() as tx:
        store.write_nodes(tx, [running])


def backfill(**changes: Any) -> Backfill:
    values: dict[str, Any] = {
        "id": "pbf_1",
        "project_id": PROJECT,
        "user_id": USER,
        "name": "daily",
        "revision": 1,
        "parameter": "day",
        "parameters": {"note": "x"},
        "first": date(2026, 1, 30),
        "last": date(2026, 2, 1),
        "parallel": 2,
        "max_cost": 5,
        "created_at": NOW,
    }
    return Backfill(**values | changes)


DAYS = [date(2026, 1, 30), date(2026, 1, 31), date(2026, 2, 1)]


def test_backfills_come_back_with_their_days(database: Database) -> None:
    made = backfill()
    with database.transaction() as tx:
        backfill_store.create(tx, made, DAYS)
        backfill_store.create(tx, backfill(id="pbf_2", max_cost=None), DAYS[:1])
    with database.read() as tx:
        assert backfill_store.find(tx, PROJECT, "pbf_1") == made
        with pytest.raises(BackfillMissingError):
            backfill_store.find(tx, OTHER, "pbf_1")
        found = backfill_store.of_pipeline(tx, PROJECT, "daily")
        assert [each.id for each in found] == ["pbf_2", "pbf_1"]
        assert [each.id for each in backfill_store.living(tx, limit=9)] == ["pbf_1", "pbf_2"]
        days = backfill_store.days_of(tx, "pbf_1")
        assert days == tuple(Day(backfill_id="pbf_1", day=day) for day in DAYS)
        counts = backfill_store.counts(tx, ["pbf_1", "pbf_2"])
        assert counts == {"pbf_1": {"waiting": 3}, "pbf_2": {"waiting": 1}}


def test_backfills_and_days_are_compared_and_set(database: Database) -> None:
    made = backfill()
    with database.transaction() as tx:
        backfill_store.create(tx, made, DAYS)
        after = backfill_store.write(tx, replace(made, state=BackfillState.FAILED, reason="x"))
        assert backfill_store.find(tx, PROJECT, made.id) == after
        assert backfill_store.living(tx, limit=9) == ()
        day = backfill_store.days_of(tx, made.id)[0]
        running = replace(
            day, state=DayState.RUNNING, run_id=RUN, resumes=JobId("plr_0"), spent=1, reserved=2
        )
        written = backfill_store.write_day(tx, running)
        assert backfill_store.days_of(tx, made.id)[0] == written
    with pytest.raises(PipelineChangedError), database.transaction() as tx:
        backfill_store.write(tx, made)
    with pytest.raises(PipelineChangedError), database.transaction() as tx:
        backfill_store.write_day(tx, day)
