"""Pipeline runs over real engines: order, values, retries, money, stops and restarts."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from jobs.documents import Submitter
from jobs.errors import JobMissingError, WriteForbiddenError
from jobs.lifecycle.events import CancelRequested, Claimed, EngineReady
from jobs.lifecycle.spec import JobKind
from jobs.lifecycle.states import JobState
from jobs.pipelines.errors import (
    ParameterInvalidError,
    PipelineDeepError,
    PipelineInvalidError,
    RunNotResumableError,
)
from jobs.pipelines.progress import NodeRun
from jobs.pipelines.service import Pipelines
from jobs.pipelines.submitting import RunRequest
from jobs.service import JobFilter, JobView
from jobs.store.jobs import Summary, add, first_step, next_step
from storage.base.ids import ProjectId, UserId
from storage.base.quantities import parse_amount
from tests.support.jobs import PROJECT, make_pipeline_spec
from tests.support.pipelines import GONE, make_terms, statement, with_pipelines
from tests.support.replicas import ENDLESS, FAST, Replica, start_replica

pytestmark = pytest.mark.xdist_group("statements")
USER = UserId("usr_1")
#: What does not depend on the database is tested on one.
SQLITE = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
BY = Submitter(project_id=PROJECT, user_id=USER, may_write=True)
BROKEN = "SELECT raise_error('broken')"


@dataclass(frozen=True, kw_only=True)
class Plant:
    """A replica with pipelines."""

    replica: Replica
    pipelines: Pipelines

    def apply(self, nodes: dict[str, Any], *, name: str = "daily", **fields: Any) -> None:
        self.pipelines.apply(PROJECT, USER, name, {"nodes": nodes, **fields})

    def start(self, name: str = "daily", *, key: str | None = None, **parameters: Any) -> JobView:
        terms = make_terms(idempotency_key=key)
        return self.pipelines.run(RunRequest(terms=terms, pipeline=name, parameters=parameters))

    def run(self, nodes: dict[str, Any], **fields: Any) -> JobView:
        """Apply, run and wait for the end."""
        self.apply(nodes, **fields)
        return self.replica.await_end(self.start().job.id)

    def nodes(self, view: JobView) -> dict[str, NodeRun]:
        return {each.node: each for each in self.pipelines.run_view(PROJECT, view.job.id).nodes}

    def states(self, view: JobView) -> dict[str, str]:
        return {name: node.state.value for name, node in self.nodes(view).items()}

    def children(self, view: JobView) -> list[JobView]:
        wanted = JobFilter(parent_id=view.job.id)
        page = self.replica.service.list(PROJECT, wanted, cursor=None, limit=100)
        return list(reversed(page.items))

    def await_node(self, view: JobView, name: str, state: JobState) -> JobView:
        """Wait until the job of a node is in a state."""
        for _ in range(600):
            job_id = self.nodes(view)[name].job_id
            if job_id is not None and self.replica.view(job_id).job.state is state:
                return self.replica.view(job_id)
            threading.Event().wait(0.05)
        raise AssertionError(self.nodes(view)[name])


@pytest.fixture
def plant(tmp_path: Path, database_url: str) -> Iterator[Plant]:
    with start_replica(tmp_path, database_url) as replica, with_pipelines(replica) as pipelines:
        yield Plant(replica=replica, pipelines=pipelines)


def test_a_select_runs_after_the_table_it_reads(plant: Plant) -> None:
    view = plant.run(
        {
            "a_count": statement("SELECT count(*) AS n, min(id) FROM numbers"),
            "load": statement("CREATE TABLE numbers AS SELECT id FROM range(:n)", parameters=N),
            "told": statement(
                "SELECT :n + 1 AS n",
                parameters={"n": {"ref": "nodes.a_count.result.value"}},
                when="nodes.load.result.rows = 7",
            ),
            "not": statement(BROKEN, when="nodes.a_count.result.value > 7"),
        },
        parameters={"n": {"type": "int", "default": 7}},
        labels={"team": "sales"},
    )
    assert view.job.state is JobState.FINISHED, view.job.failure
    nodes = plant.nodes(view)
    assert plant.states(view) == {
        "load": "succeeded", "a_count": "succeeded", "told": "succeeded", "not": "skipped"
    }  # fmt: skip
    assert nodes["told"].outputs == {"rows": 1, "value": {"type": "int", "value": 8}}
    load, count, *_ = (each.job for each in plant.children(view))
    assert (load.node, count.node) == ("load", "a_count")
    assert load.ended_at is not None
    assert load.ended_at <= count.created_at
    assert (load.parent_id, load.node) == (view.job.id, "load")
    assert load.spec.labels == {"team": "sales", "pipeline": "daily"}
    assert view.job.spec.labels == {"team": "sales", "pipeline": "daily"}
    assert view.facts["nodes"]["load"]["state"] == "succeeded"
    page = plant.pipelines.runs(PROJECT, "daily", cursor=None, limit=9)
    assert [each.job.id for each in page.items] == [view.job.id]


N = {"n": {"ref": "params.n"}}


@SQLITE
def test_a_failing_node_is_tried_again_then_its_handler_runs(plant: Plant) -> None:
    view = plant.run(
        {
            "bad": statement(BROKEN, retry={"attempts": 3, "pause": "10ms"}, on_failure="tell"),
            "after": statement(needs=["bad"]),
            "tell": statement("SELECT :id AS id", parameters={"id": {"ref": "nodes.bad.job_id"}}),
        }
    )
    assert view.job.state is JobState.FAILED
    assert view.job.failure is not None
    assert view.job.failure.code == "pipeline_failed"
    assert "node bad failed" in view.job.failure.message
    assert view.job.attempt == 1
    assert plant.states(view) == {"bad": "failed", "after": "omitted", "tell": "succeeded"}
    nodes = plant.nodes(view)
    tried = [job for job in plant.children(view) if job.job.node == "bad"]
    assert [job.job.state for job in tried] == [JobState.FAILED] * 3
    assert nodes["bad"].attempt == 3
    assert nodes["tell"].outputs["value"]["value"] == tried[-1].job.id  # type: ignore[index]


@SQLITE
def test_a_refused_statement_fails_its_node_at_once(plant: Plant) -> None:
    view = plant.run(
        {
            "bad": statement("SELECT * FROM nowhere", retry=3, on_failure="continue"),
            "good": statement(),
            "instead": statement("SELECT 2", when="failed(bad)"),
        }
    )
    assert view.job.state is JobState.FINISHED
    assert plant.states(view) == {"bad": "failed", "good": "succeeded", "instead": "succeeded"}
    bad = plant.nodes(view)["bad"]
    assert (bad.attempt, bad.failure.code) == (1, "table_not_found")  # type: ignore[union-attr]


@SQLITE
def test_a_resumed_run_takes_over_what_succeeded(plant: Plant) -> None:
    nodes = {
        "load": statement("CREATE TABLE t AS SELECT 5 AS x"),
        "bad": statement("SELECT x FROM t WHERE assert_true(:ok) IS NULL", parameters=OK),
        "end": statement("SELECT :x AS x", parameters=X, needs=["bad"]),
    }
    plant.apply(nodes, parameters={"ok": {"type": "boolean", "default": False}})
    failed = plant.replica.await_end(plant.start().job.id)
    assert plant.states(failed) == {"load": "succeeded", "bad": "failed", "end": "omitted"}
    with pytest.raises(JobMissingError):
        plant.pipelines.resume(make_terms(project_id=ProjectId("other")), failed.job.id)
    # The new revision is not what the old run is resumed with.
    plant.apply({"other": statement()})
    again = plant.replica.await_end(plant.pipelines.resume(make_terms(), failed.job.id).job.id)
    assert again.job.spec.revision == 1  # type: ignore[union-attr]
    assert plant.states(again) == {"load": "succeeded", "bad": "failed", "end": "omitted"}
    before, after = plant.nodes(failed)["load"], plant.nodes(again)["load"]
    assert (after.taken_from, after.job_id) == (failed.job.id, before.job_id)
    assert [job.job.node for job in plant.children(again)] == ["bad"]


OK = {"ok": {"ref": "params.ok"}}
X = {"x": {"ref": "nodes.load.job_id"}}


@SQLITE
def test_only_a_run_that_ended_badly_is_resumed(plant: Plant) -> None:
    done = plant.run({"a": statement()})
    with pytest.raises(RunNotResumableError, match="has finished"):
        plant.pipelines.resume(make_terms(), done.job.id)
    plant.apply({"a": statement(ENDLESS)})
    running = plant.start()
    with pytest.raises(RunNotResumableError, match="goes on"):
        plant.pipelines.resume(make_terms(), running.job.id)
    plant.replica.service.cancel(PROJECT, running.job.id)
    statement_id = plant.replica.submit("SELECT 1")
    with pytest.raises(JobMissingError):
        plant.pipelines.resume(make_terms(), statement_id)


def test_a_cancelled_run_has_cancelled_its_jobs_before(plant: Plant) -> None:
    plant.apply({"long": statement(ENDLESS), "after": statement(needs=["long"])})
    view = plant.start()
    plant.await_node(view, "long", JobState.RUNNING)
    assert plant.replica.service.cancel(PROJECT, view.job.id).job.state is JobState.CANCELLING
    ended = plant.replica.await_end(view.job.id)
    assert ended.job.state is JobState.CANCELLED
    (child,) = plant.children(view)
    assert child.job.state is JobState.CANCELLED
    assert child.job.ended_at is not None
    assert ended.job.ended_at is not None
    assert child.job.ended_at <= ended.job.ended_at
    assert plant.states(view) == {"long": "cancelled", "after": "cancelled"}


@SQLITE
def test_a_run_ends_with_its_time(plant: Plant) -> None:
    view = plant.run({"long": statement(ENDLESS)}, timeout="2s")
    assert view.job.state is JobState.CANCELLED
    assert view.job.failure is not None
    assert view.job.failure.code == "pipeline_timeout"
    assert [job.job.state for job in plant.children(view)] == [JobState.CANCELLED]


@SQLITE
def test_a_run_whose_replica_died_while_it_cancelled_waits_for_its_jobs(plant: Plant) -> None:
    plant.apply({"a": statement(ENDLESS), "b": statement(needs=["a"])})
    service, parts = plant.replica.service, plant.replica.parts
    now = parts.clock.now()
    queue = service.queues.known.get(PROJECT, "default")
    spec = make_pipeline_spec(labels={"pipeline": "daily"})
    dead = service.accepting.new_job(
        JobKind.PIPELINE, spec, terms=make_terms(), queue=queue, at=now
    )
    steps = [first_step(dead)]
    for event in (
        Claimed(at=now, owner="dead", lease_until=now + timedelta(seconds=1)),
        EngineReady(at=now),
        CancelRequested(at=now),
    ):
        step = next_step(steps[-1].job, event)
        assert step is not None
        steps.append(step)
    asked = replace(plant.replica.request(ENDLESS), terms=make_terms(parent_id=dead.id, node="a"))
    child = service.submit(asked)  # before somebody can adopt the run
    with parts.database.transaction() as tx:
        add(tx, steps, plan=None, summary=Summary())
    ended = plant.replica.await_end(dead.id)
    assert ended.job.state is JobState.CANCELLED
    assert "adopted" in [event.kind for event in ended.history]
    last = plant.replica.view(child.job.id).job
    assert last.state is JobState.CANCELLED
    assert last.ended_at is not None
    assert ended.job.ended_at is not None
    assert last.ended_at <= ended.job.ended_at
    assert plant.states(ended) == {"a": "cancelled", "b": "cancelled"}


@SQLITE
def test_a_job_that_somebody_cancels_fails_its_node(plant: Plant) -> None:
    plant.apply({"long": statement(ENDLESS, retry=3)})
    view = plant.start()
    child = plant.await_node(view, "long", JobState.RUNNING)
    plant.replica.service.cancel(PROJECT, child.job.id)
    ended = plant.replica.await_end(view.job.id)
    assert ended.job.state is JobState.FAILED
    node = plant.nodes(view)["long"]
    assert (node.attempt, node.failure.code) == (1, "job_cancelled")  # type: ignore[union-attr]


def test_a_silent_replica_is_replaced_and_nothing_is_submitted_twice(
    tmp_path: Path, database_url: str
) -> None:
    """The first replica renews no lease, as one that is stopped for a while."""
    short = replace(FAST, lease=timedelta(milliseconds=500))
    nodes = {
        "a": statement("CREATE TABLE t AS SELECT 1 AS x"),
        "b": statement(LONG, needs=["a"]),
        "c": statement("SELECT count(*) FROM t", needs=["b"]),
    }
    with (
        start_replica(tmp_path, database_url, name="silent", settings=short, loops=()) as silent,
        start_replica(tmp_path, database_url, name="other") as other,
        with_pipelines(silent) as first,
        with_pipelines(other) as second,
    ):
        old = Plant(replica=silent, pipelines=first)
        old.apply(nodes)
        view = old.start()
        ended = other.await_end(view.job.id)
        assert ended.job.state is JobState.FINISHED, ended.job.failure
        assert ended.job.attempt > 1
        plant = Plant(replica=other, pipelines=second)
        by_node = [job.job.node for job in plant.children(view)]
        assert by_node == ["a", "b", "c"]
        until = silent.parts.clock.monotonic() + 60
        while silent.service.running():
            assert silent.parts.clock.monotonic() < until
            threading.Event().wait(0.1)
        assert other.view(view.job.id).job == ended.job


LONG = "SELECT count(*) AS n FROM range(60000) a CROSS JOIN range(20000) b WHERE a.id < b.id"


@SQLITE
def test_a_drained_replica_hands_its_runs_over(tmp_path: Path, database_url: str) -> None:
    with (
        start_replica(tmp_path, database_url, name="one") as one,
        start_replica(tmp_path, database_url, name="two") as two,
        with_pipelines(one) as first,
        with_pipelines(two) as second,
    ):
        plant = Plant(replica=one, pipelines=first)
        plant.apply({"a": statement(LONG), "b": statement(needs=["a"])})
        view = plant.start()
        plant.await_node(view, "a", JobState.RUNNING)
        one.service.drain(timedelta(0))
        ended = two.await_end(view.job.id)
        assert ended.job.state is JobState.FINISHED, ended.job.failure
        assert "handed_over" in [event.kind for event in ended.history]
        other = Plant(replica=two, pipelines=second)
        assert [job.job.node for job in other.children(view)] == ["a", "b"]


def test_jobs_of_a_run_that_is_gone_are_cancelled(plant: Plant) -> None:
    parent = plant.run({"a": statement()})
    terms = make_terms(parent_id=parent.job.id, node="late")
    request = replace(plant.replica.request(ENDLESS), terms=terms)
    orphan = plant.replica.service.submit(request)
    ended = plant.replica.await_end(orphan.job.id)
    assert ended.job.state is JobState.CANCELLED


def test_a_run_never_costs_more_than_its_cap(plant: Plant) -> None:
    plant.replica.run("CREATE TABLE t AS SELECT id FROM range(1000)")
    price = plant.replica.run("SELECT sum(id) FROM t").job.quote
    assert price is not None
    assert price.amount > 0
    read = "SELECT sum(id) FROM t"
    cap = f"{price.amount * 5 / 2 / 10**9:.9f}"
    view = plant.run(
        {name: statement(read, needs=needs) for name, needs in NEEDS.items()}, max_cost=cap
    )
    assert view.job.state is JobState.FAILED
    assert plant.states(view) == {"a": "succeeded", "b": "succeeded", "c": "failed"}
    failure = plant.nodes(view)["c"].failure
    assert failure is not None
    assert failure.code == "pipeline_cap_exceeded"
    assert "would cost" in failure.message
    cost = plant.pipelines.run_view(PROJECT, view.job.id).cost
    assert cost == 2 * price.amount <= parse_amount(cap)
    dearer = plant.pipelines.resume(make_terms(max_cost=price.amount), view.job.id)
    ended = plant.replica.await_end(dearer.job.id)
    assert ended.job.state is JobState.FINISHED
    assert [job.job.node for job in plant.children(ended)] == ["c"]


@SQLITE
def test_a_run_within_a_run_counts_to_the_cap(plant: Plant) -> None:
    plant.replica.run("CREATE TABLE t AS SELECT id FROM range(1000)")
    price = plant.replica.run("SELECT sum(id) FROM t").job.quote
    assert price is not None
    read, each = "SELECT sum(id) FROM t", f"{price.amount / 10**9:.9f}"
    plant.apply({"a": statement(read)}, name="inner")
    inner = {"kind": "pipeline", "pipeline": "inner", "max_cost": each}
    nodes = {"first": inner, "second": {**inner, "needs": ["first"]}}
    view = plant.run(nodes, max_cost=each)
    assert plant.states(view) == {"first": "succeeded", "second": "failed"}
    assert plant.pipelines.run_view(PROJECT, view.job.id).cost == price.amount
    free = plant.run({"a": statement("SELECT 1"), "b": {**inner, "needs": ["a"]}}, max_cost=each)
    assert free.job.state is JobState.FINISHED, free.job.failure


def test_runs_do_not_wait_for_seats_of_those_they_are_within(
    tmp_path: Path, database_url: str
) -> None:
    one_seat = replace(FAST, pipeline_workers=1)
    with (
        start_replica(tmp_path, database_url, settings=one_seat) as replica,
        with_pipelines(replica) as pipelines,
    ):
        plant = Plant(replica=replica, pipelines=pipelines)
        plant.apply({"a": statement("SHOW TABLES")}, name="inmost")
        plant.apply({"a": {"kind": "pipeline", "pipeline": "inmost"}}, name="inner")
        plant.apply({"a": {"kind": "pipeline", "pipeline": "inner"}})
        ended = [replica.await_end(view.job.id) for view in (plant.start(), plant.start())]
    assert [view.job.state for view in ended] == [JobState.FINISHED] * 2


NEEDS: dict[str, list[str]] = {"a": [], "b": ["a"], "c": ["b"]}


@SQLITE
def test_who_lost_the_right_to_write_goes_on_with_nothing(plant: Plant) -> None:
    plant.apply({"a": statement()})
    request = RunRequest(terms=make_terms(user_id=GONE), pipeline="daily")
    view = plant.replica.await_end(plant.pipelines.run(request).job.id)
    assert view.job.state is JobState.FAILED
    assert plant.nodes(view)["a"].failure.code == "write_forbidden"  # type: ignore[union-attr]
    assert plant.children(view) == []


@SQLITE
def test_a_plan_tells_order_reasons_and_prices(plant: Plant) -> None:
    plant.replica.run("CREATE TABLE t AS SELECT id FROM range(1000)")
    plant.apply(
        {
            "read": statement("SELECT sum(id) FROM t"),
            "made": statement("CREATE TABLE u AS SELECT * FROM t"),
            "later": statement("SELECT * FROM u"),
            "value": statement(
                "SELECT :x AS x", parameters={"x": {"ref": "nodes.read.result.value"}}
            ),
        }
    )
    plan = plant.pipelines.plan(BY, "daily", {})
    assert [node.name for node in plan.nodes] == ["made", "read", "later", "value"]
    told = {node.name: node for node in plan.nodes}
    assert told["later"].after[0].reason == "reads default.u"
    assert told["later"].unpriced == "reads default.u, made by made"
    assert told["value"].unpriced == "parameters.x is given by read"
    assert plan.price == told["read"].quote.amount + told["made"].quote.amount  # type: ignore[union-attr]
    assert plan.price > 0
    assert not plan.complete
    page = plant.pipelines.runs(PROJECT, "daily", cursor=None, limit=9)
    assert page.items == ()


@SQLITE
def test_what_cannot_run_is_refused_before(plant: Plant) -> None:
    with pytest.raises(PipelineInvalidError) as caught:
        plant.apply({"a": statement(tiemout="5s"), "b": statement(max_rows="x")})
    fields = {each["field"] for each in caught.value.details["errors"]}  # type: ignore[attr-defined]
    assert fields == {"nodes.a.tiemout", "nodes.b.max_rows"}
    plant.apply({"a": statement()}, parameters={"day": "date"})
    with pytest.raises(ParameterInvalidError, match="day"):
        plant.start()
    with pytest.raises(ParameterInvalidError, match="is no date"):
        plant.start(day="soon")
    with pytest.raises(ParameterInvalidError, match="'dya'"):
        plant.start(day="2026-01-01", dya=1)
    request = RunRequest(terms=make_terms(may_write=False), pipeline="daily")
    with pytest.raises(WriteForbiddenError):
        plant.pipelines.run(request)
    kinds = frozenset({JobKind.PIPELINE})
    page = plant.replica.service.list(PROJECT, JobFilter(kinds=kinds), cursor=None, limit=9)
    assert page.items == ()


@SQLITE
def test_the_same_key_gives_the_same_run(plant: Plant) -> None:
    plant.apply({"a": statement()})
    first, second = plant.start(key="k"), plant.start(key="k")
    assert first.job.id == second.job.id


@SQLITE
def test_a_pipeline_cannot_run_within_itself(plant: Plant) -> None:
    plant.apply({"a": statement(ENDLESS)})
    parent = plant.start()
    terms = make_terms(parent_id=parent.job.id, node="a")
    with pytest.raises(PipelineDeepError, match="daily in daily"):
        plant.pipelines.run(RunRequest(terms=terms, pipeline="daily"))
    plant.replica.service.cancel(PROJECT, parent.job.id)
    plant.replica.await_end(parent.job.id)


@SQLITE
def test_revisions_are_compared_and_taken_back(plant: Plant) -> None:
    plant.apply({"a": statement("SELECT 1")})
    plant.apply({"a": statement("SELECT 2"), "b": statement()})
    found = plant.pipelines.diff(PROJECT, "daily", before=None, after=None)
    assert (found.added, tuple(found.changed)) == (("b",), ("a",))
    back = plant.pipelines.rollback(PROJECT, USER, "daily", 1)
    assert (back.revision.number, back.revision.rolled_back_to) == (3, 1)
    assert plant.pipelines.diff(PROJECT, "daily", before=1, after=3).empty
    text = {"nodes": {"a": statement("SELECT 1")}}
    assert plant.pipelines.diff_text(PROJECT, "daily", text, before=None).empty
    numbers = [each.number for each in plant.pipelines.revisions(PROJECT, "daily")]
    assert numbers == [3, 2, 1]
    plant.pipelines.delete(PROJECT, "daily")
    assert plant.pipelines.list(PROJECT) == ()
