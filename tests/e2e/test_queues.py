"""A queue from its making to its end, by the command line."""

from __future__ import annotations

import json

import pytest

from benchmarks.service import Service
from tests.e2e.test_cancel import CROSS_JOIN
from tests.e2e.test_first_tour import dli, good

pytestmark = pytest.mark.xdist_group("e2e")


def test_a_queue_is_filled_explained_drained_and_opened(service: Service) -> None:
    good(service, "queue", "create", "rush", "--max-running", "1", "--priorities", "0:5",
         "--kinds", "statement,batch", "--max-timeout", "2h")  # fmt: skip
    with service.client() as client:
        first = client.submit(CROSS_JOIN, queue="rush", wait="0s").id
        late = client.submit("SELECT 1", queue="rush", wait="0s").id
        urgent = client.submit("SELECT 2", queue="rush", priority=5, wait="0s").id
    shown = good(service, "queue", "show", "rush")
    assert "max running per user" not in shown, "what is not limited is not told"
    load = json.loads(good(service, "queue", "show", "rush", "--json"))["load"]
    assert (load["running"], load["waiting"]) == (1, 2)
    story = good(service, "job", "explain", late)
    assert "place 2" in story
    assert "in queue default" in story
    told = dli(service, "queue", "drain", "rush").stderr
    assert "1 run, 2 wait" in told
    refused = dli(service, "sql", "SELECT 3", "--queue", "rush")
    assert refused.returncode == 1
    assert "dli queue resume rush" in refused.stderr
    dli(service, "job", "cancel", first)
    with service.client() as client:
        ended = [client.wait(client.statement(each)) for each in (urgent, late)]
    assert [each.state for each in ended] == ["finished"] * 2
    good(service, "queue", "resume", "rush")
    good(service, "sql", "SELECT 3", "--queue", "rush")
    good(service, "queue", "delete", "rush")
