"""What a run does next: a pure function, walked through by random plans and random ends."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.lifecycle.job import CancelReason
from jobs.pipelines.progress import (
    Next,
    NodeRun,
    NodeState,
    after_failure,
    choose_next,
    failed_nodes,
    taken_over,
    value_of,
)
from jobs.pipelines.references import Ref
from jobs.pipelines.spec import CONTINUE, NodeRetry, Pipeline
from jobs.pipelines.values import Typed
from storage.base.errors import Failure
from storage.base.ids import JobId
from tests.support.jobs import NOW, make_job
from tests.support.pipelines import make_graph, make_pipeline, statement

RUN = JobId("plr_1")
S = NodeState


class Walk:
    """A run whose jobs end as the test says."""

    def __init__(self, nodes: dict[str, Any], **fields: Any) -> None:
        self.pipeline: Pipeline = make_pipeline(nodes, **fields)
        self.graph = make_graph(nodes, **fields)
        self.nodes = {name: NodeRun(run_id=RUN, node=name) for name in self.pipeline.nodes}
        self.started: list[str] = []

    def next(self) -> Next:
        """Start what may start, until nothing more may without an end."""
        while True:
            found = choose_next(self.pipeline, self.graph, self.nodes, lookup=self.lookup, now=NOW)
            for name, (state, reason) in found.end.items():
                self.nodes[name] = replace(self.nodes[name], state=state, reason=reason)
            for name, failure in found.failed.items():
                self.nodes[name] = replace(self.nodes[name], state=S.FAILED, failure=failure)
            for name in found.start:
                self.started.append(name)
                self.nodes[name] = replace(self.nodes[name], state=S.RUNNING, attempt=1)
            if not (found.end or found.failed or found.start):
                return found

    def end(self, name: str, state: NodeState = S.SUCCEEDED, **outputs: Any) -> Walk:
        """The job of a node ends."""
        assert self.nodes[name].state is S.RUNNING
        self.nodes[name] = replace(self.nodes[name], state=state, outputs=outputs)
        self.next()
        return self

    def lookup(self, ref: Ref) -> Typed | None:
        return value_of(ref, {"n": Typed(type="int", value=5)}, self.nodes)

    def states(self) -> dict[str, str]:
        return {name: node.state.value for name, node in self.nodes.items()}

    @property
    def running(self) -> list[str]:
        return [name for name, node in self.nodes.items() if node.state is S.RUNNING]


def walk(nodes: dict[str, Any], **fields: Any) -> Walk:
    made = Walk(nodes, **fields)
    made.next()
    return made


CHAIN = {"a": statement(), "b": statement(needs=["a"]), "c": statement(needs=["b"])}


def test_nodes_run_one_after_the_other() -> None:
    run = walk(CHAIN)
    assert run.running == ["a"]
    assert run.end("a").running == ["b"]
    assert run.end("b").end("c").next().done


def test_at_most_so_many_run_at_once() -> None:
    run = walk({name: statement() for name in "abcde"}, parallel=2)
    assert run.running == ["a", "b"]
    assert run.end("a").running == ["b", "c"]


def test_after_a_failure_nothing_new_starts_and_what_runs_goes_on() -> None:
    run = walk({**CHAIN, "x": statement(), "y": statement(needs=["x"])})
    assert run.running == ["a", "x"]
    run.end("a", S.FAILED)
    assert not run.next().done
    run.end("x")
    assert run.next().done
    assert run.states() == {
        "a": "failed", "b": "omitted", "c": "omitted", "x": "succeeded", "y": "omitted"
    }  # fmt: skip
    assert failed_nodes(run.pipeline, run.nodes) == ("a",)
    assert run.nodes["y"].reason == "the run failed at a"


def test_a_failure_to_be_passed_over_stops_only_those_that_need_it() -> None:
    nodes = {**CHAIN, "x": statement(needs=["b"], when="failed(a) and skipped(b)")}
    nodes["a"] = statement(on_failure=CONTINUE)
    run = walk({**nodes, "y": statement()})
    run.end("a", S.FAILED)
    assert run.states() == {
        "a": "failed", "b": "omitted", "c": "omitted", "x": "running", "y": "running"
    }  # fmt: skip
    run.end("x").end("y")
    assert run.next().done
    assert failed_nodes(run.pipeline, run.nodes) == ()


def test_a_handler_runs_only_after_its_failure_and_last() -> None:
    nodes = {
        "a": statement(on_failure="tell"),
        "b": statement(),
        "tell": statement("SELECT :job AS x", parameters={"job": {"ref": "nodes.a.job_id"}}),
    }
    run = walk(nodes)
    run.end("a", S.FAILED)
    assert run.running == ["b"]
    assert run.end("b").running == ["tell"]
    assert run.end("tell").next().done
    assert failed_nodes(run.pipeline, run.nodes) == ("a",)
    well = walk(nodes).end("a").end("b")
    assert well.next().done
    assert well.states()["tell"] == "skipped"


def test_a_condition_that_does_not_hold_skips_the_node_and_what_needs_it() -> None:
    run = walk(
        {
            "a": statement(),
            "b": statement(when="nodes.a.result.value > params.n"),
            "c": statement(needs=["b"]),
        },
        parameters={"n": "int"},
    )
    run.end("a", value={"type": "bigint", "value": 5})
    assert run.states() == {"a": "succeeded", "b": "skipped", "c": "omitted"}
    assert run.nodes["b"].reason == "not so: nodes.a.result.value > params.n"
    assert run.nodes["c"].reason == "b is skipped"


def test_a_table_that_was_not_to_be_written_is_read_as_it_is() -> None:
    run = walk(
        {
            "write": statement("INSERT INTO t SELECT 1", when="false"),
            "read": statement("SELECT * FROM t"),
        }
    )
    assert run.states() == {"write": "skipped", "read": "running"}


def test_a_table_that_could_not_be_written_is_not_read() -> None:
    run = walk(
        {
            "write": statement("INSERT INTO t SELECT 1", on_failure="continue"),
            "read": statement("SELECT * FROM t"),
        }
    )
    run.end("write", S.FAILED)
    assert run.states()["read"] == "omitted"


def test_one_of_two_ways_is_taken() -> None:
    nodes = {
        "full": statement("INSERT OVERWRITE t SELECT 1", when="params.n > 3"),
        "part": statement("INSERT OVERWRITE t SELECT 2", when="skipped(full)"),
        "read": statement("SELECT * FROM t"),
    }
    run = walk(nodes, parameters={"n": "int"})
    run.end("full")
    assert run.states() == {"full": "succeeded", "part": "skipped", "read": "running"}


def test_values_that_cannot_be_compared_fail_the_node() -> None:
    nodes = {"a": statement(), "b": statement(when="nodes.a.result.value > 1")}
    run = walk(nodes).end("a", value={"type": "string", "value": "x"})
    assert run.next().done
    failure = run.nodes["b"].failure
    assert failure is not None
    assert failure.code == "pipeline_value_missing"


def test_a_pause_is_waited_for() -> None:
    run = Walk({"a": statement()})
    at = NOW + timedelta(seconds=10)
    run.nodes["a"] = replace(run.nodes["a"], attempt=1, not_before=at)
    found = run.next()
    assert (found.start, found.look_at, found.done) == ((), at, False)
    run.nodes["a"] = replace(run.nodes["a"], not_before=NOW)
    run.next()
    assert run.running == ["a"]


@pytest.mark.parametrize(
    ("ref", "value"),
    [
        (Ref(parameter="n"), Typed(type="int", value=5)),
        (Ref(parameter="other"), None),
        (Ref(node="a", output="job_id"), Typed(type="string", value="tsk_1")),
        (Ref(node="a", output="result.rows"), Typed(type="bigint", value=3)),
        (Ref(node="a", output="result.value"), Typed(type="date", value="2026-01-01")),
        (Ref(node="a", output="output.uri"), Typed(type="string", value="s3://b/x.csv")),
        (
            Ref(node="a", output="output.uri", file="y.csv"),
            Typed(type="string", value="s3://b/y.csv"),
        ),
        (Ref(node="a", output="output.uri", file="z.csv"), None),
        (Ref(node="failed", output="result.rows"), None),
        (Ref(node="failed", output="job_id"), Typed(type="string", value="tsk_2")),
    ],
)
def test_outputs_are_values(ref: Ref, value: Typed | None) -> None:
    outputs = {
        "rows": 3,
        "value": {"type": "date", "value": "2026-01-01"},
        "files": {"x.csv": "s3://b/x.csv", "y.csv": "s3://b/y.csv"},
    }
    done = NodeRun(run_id=RUN, node="a", state=S.SUCCEEDED, job_id=JobId("tsk_1"), outputs=outputs)
    failed = NodeRun(
        run_id=RUN, node="failed", state=S.FAILED, job_id=JobId("tsk_2"), outputs=outputs
    )
    parameters = {"n": Typed(type="int", value=5)}
    assert value_of(ref, parameters, {"a": done, "failed": failed}) == value


NAMES = [f"n{index}" for index in range(6)]


@st.composite
def plans(draw: st.DrawFn) -> dict[str, Any]:
    """Nodes that need some of those before them, with all ways to go on."""
    nodes: dict[str, Any] = {}
    for index, name in enumerate(NAMES):
        before = NAMES[:index]
        fields: dict[str, Any] = {}
        if before:
            fields["needs"] = draw(st.lists(st.sampled_from(before), unique=True))
            when = draw(st.sampled_from([None, "failed", "succeeded", "skipped", "false", "not"]))
            other = draw(st.sampled_from(before))
            if when == "not":
                fields["when"] = f"not failed({other})"
            elif when is not None:
                fields["when"] = when if when == "false" else f"{when}({other})"
        fields["on_failure"] = draw(st.sampled_from(["fail", "continue", "last"]))
        nodes[name] = statement(**fields)
    return {**nodes, "last": statement()}


@given(plans(), st.data(), st.integers(1, 4))
def test_every_run_comes_to_an_end_in_order(
    nodes: dict[str, Any], data: st.DataObject, parallel: int
) -> None:
    run = walk(nodes, parallel=parallel)
    while run.running:
        assert len(run.running) <= parallel
        name = data.draw(st.sampled_from(run.running))
        run.end(name, data.draw(st.sampled_from([S.SUCCEEDED, S.FAILED])))
    assert run.next().done, run.states()
    assert len(set(run.started)) == len(run.started)
    for edge in run.graph.edges:
        if edge.before in run.started and edge.after in run.started:
            assert run.started.index(edge.before) < run.started.index(edge.after)
    for name in run.started:
        node = run.pipeline.nodes[name]
        for needed in node.needs:
            asked = node.when is not None and needed in node.when.nodes()
            assert asked or run.nodes[needed].state is S.SUCCEEDED
    handled = [n for n in NAMES if nodes[n]["on_failure"] == "last"]
    failed = any(run.nodes[n].state is S.FAILED for n in handled)
    assert ("last" in run.started) is failed or not handled


BROKEN = Failure(code="broken", message="it broke", hint=None)
THRICE = NodeRetry(attempts=3, pause=timedelta(minutes=40))


@pytest.mark.parametrize(("attempt", "pause"), [(1, 40), (2, 60)])
def test_failed_attempt_is_repeated_after_a_pause_that_doubles_up_to_an_hour(
    attempt: int, pause: int
) -> None:
    node = NodeRun(run_id=RUN, node="a", state=S.RUNNING, attempt=attempt)
    after = after_failure(node, make_job(failure=BROKEN), THRICE, now=NOW)
    assert (after.state, after.failure) == (S.WAITING, BROKEN)
    assert after.not_before == NOW + timedelta(minutes=pause)
    assert after.reason == f"attempt {attempt} of 3 failed"


@pytest.mark.parametrize(
    ("attempt", "reason"),
    [(3, None), (1, CancelReason.REQUESTED), (1, CancelReason.CLIENT_GONE)],
)
def test_last_attempt_and_one_whose_end_was_wanted_are_the_end(
    attempt: int, reason: CancelReason | None
) -> None:
    node = NodeRun(run_id=RUN, node="a", state=S.RUNNING, attempt=attempt)
    after = after_failure(node, make_job(cancel_reason=reason), THRICE, now=NOW)
    assert (after.state, after.ended_at) == (S.FAILED, NOW)
    assert after.failure is not None
    assert after.failure.code == "job_cancelled"


def test_run_that_resumes_takes_over_what_succeeded() -> None:
    fresh = NodeRun(run_id=JobId("plr_2"), node="a")
    done = NodeRun(run_id=RUN, node="a", state=S.SUCCEEDED, version=4, outputs={"rows": 1})
    assert taken_over(None, fresh) == taken_over(replace(done, state=S.FAILED), fresh) == fresh
    taken = taken_over(done, fresh)
    assert (taken.run_id, taken.version, taken.taken_from) == (fresh.run_id, 1, RUN)
    assert taken_over(taken, replace(fresh, run_id=JobId("plr_3"))).taken_from == RUN
