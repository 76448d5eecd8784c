"""What a node that does not run yet is told."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

from jobs.pipelines.progress import NodeRun, NodeState
from jobs.pipelines.waits import node_waits
from jobs.views import Wait
from storage.base.ids import JobId
from tests.support.jobs import NOW
from tests.support.pipelines import make_graph, make_pipeline, statement

S = NodeState
NODES = {
    "load": statement(),
    "clean": statement(needs="load"),
    "count": statement(needs=["clean", "load"]),
    "alone": statement(),
}


def _told(
    nodes: dict[str, Any],
    states: dict[str, Any],
    jobs: dict[str, Wait] | None = None,
    **fields: Any,
) -> dict[str, tuple[str, str]]:
    """Reason and detail by node; ``states`` are of those that do not wait, or changes of a node."""
    runs = {name: NodeRun(run_id=JobId("plr_1"), node=name) for name in nodes}
    for name, state in states.items():
        changes = state if isinstance(state, dict) else {"state": state, "job_id": JobId("stm_1")}
        runs[name] = replace(runs[name], **changes)
    waits = node_waits(
        make_pipeline(nodes, **fields), make_graph(nodes, **fields), runs, jobs=jobs or {}, now=NOW
    )
    return {name: (wait.reason, wait.detail) for name, wait in waits.items()}


def test_a_node_waits_for_those_before_it_that_have_not_ended() -> None:
    told = _told(NODES, {"load": S.SUCCEEDED, "clean": S.RUNNING, "alone": S.RUNNING})
    assert told == {"count": ("dependency", "it comes after clean (running)")}
    told = _told(NODES, {"load": S.RUNNING, "alone": S.SUCCEEDED})
    assert told["count"] == ("dependency", "it comes after clean (waiting), load (running)")


def test_a_handler_waits_for_all_but_handlers() -> None:
    nodes = {"load": statement(on_failure="mail"), "alone": statement(), "mail": statement()}
    told = _told(nodes, {"load": S.FAILED, "alone": S.RUNNING})
    assert told == {"mail": ("dependency", "it comes after alone (running)")}


def test_a_node_beyond_the_pipelines_limit_says_so() -> None:
    told = _told(NODES, {"load": S.RUNNING}, parallel=1)
    assert told["alone"][0] == "parallel_limit"
    assert _told(NODES, {"load": S.RUNNING}, parallel=2)["alone"][0] == "starting_soon"


def test_a_pause_before_another_attempt_is_told() -> None:
    paused = {"not_before": NOW + timedelta(seconds=1), "reason": "attempt 1 of 3 failed"}
    told = _told(NODES, {"load": S.SUCCEEDED, "clean": S.SUCCEEDED, "alone": paused})
    reason = "attempt 1 of 3 failed; the next one starts after a pause"
    assert told["alone"] == ("retry_pause", reason)


def test_a_node_whose_job_waits_has_the_reason_of_the_job() -> None:
    wait = Wait(reason="capacity", position=3, detail="it needs 2 cores, and 1 cores are free")
    told = _told(NODES, {"load": S.RUNNING, "alone": S.RUNNING}, {"load": wait})
    assert told["load"] == (wait.reason, wait.detail)
    assert "alone" not in told, "its job runs"


def test_a_node_that_a_full_queue_did_not_take_says_so() -> None:
    full = {"state": S.RUNNING, "reason": "9 jobs wait in queue default, as many as may"}
    told = _told(NODES, {"load": full, "alone": S.SUCCEEDED})
    assert told["load"] == ("starting_soon", full["reason"])
