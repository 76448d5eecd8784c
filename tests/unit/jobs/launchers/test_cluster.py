"""The list of pods over what an API server may do: forget, break off, say nothing, be slow."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from jobs.launchers.api import Asked
from jobs.launchers.cluster import ApiError, Cluster, ClusterConfigError, Watched
from jobs.launchers.cluster_calls import asked
from jobs.launchers.pods import LEASE, ClusterSettings
from storage.base.clock import SystemClock
from tests.support.api_servers import END, ApiServer, cluster_at, pod
from tests.support.runs import eventually


@pytest.fixture
def cluster(api: ApiServer, tmp_path: Path) -> Cluster:
    return cluster_at(api.server_port, tmp_path)


@pytest.fixture
def pods(api: ApiServer, cluster: Cluster) -> Iterator[Watched]:
    api.pages = [[pod("a", 3)], [pod("b", 4)]]
    made = Watched(cluster, "app=dli", SystemClock())
    assert made.wait_listed(10.0)
    yield made
    made.close()


def names(pods: Watched) -> list[str]:
    return sorted(view.name for view in pods.all())


def phase(pods: Watched, name: str) -> str | None:
    view = pods.get(name)
    return None if view is None else view.phase


def test_all_pages_are_listed(pods: Watched) -> None:
    assert names(pods) == ["a", "b"]


def test_events_are_followed_from_the_list_on(api: ApiServer, pods: Watched) -> None:
    api.tell("MODIFIED", pod("a", 11, "Running"))
    api.tell("DELETED", pod("b", 12))
    api.tell("ADDED", pod("c", 13))
    eventually(lambda: names(pods) == ["a", "c"])
    assert phase(pods, "a") == "Running"
    assert api.asked[0]["resourceVersion"] == "10"


def test_watch_that_ends_goes_on_where_its_bookmark_was(api: ApiServer, pods: Watched) -> None:
    api.tell("BOOKMARK", {"metadata": {"resourceVersion": "77"}})
    api.events.put(END)
    eventually(lambda: len(api.asked) == 2)
    assert api.asked[1]["resourceVersion"] == "77"
    assert api.lists == 1
    assert names(pods) == ["a", "b"]


def test_place_that_is_forgotten_is_listed_again(api: ApiServer, pods: Watched) -> None:
    api.version, api.pages = 90, [[pod("b", 80, "Running")]]
    api.tell("ERROR", {"code": 410, "message": "too old resource version"})
    eventually(lambda: names(pods) == ["b"])
    assert phase(pods, "b") == "Running"
    eventually(lambda: len(api.asked) == 2)
    assert api.asked[1]["resourceVersion"] == "90"


def test_pod_that_was_made_after_the_list_stays(api: ApiServer, pods: Watched) -> None:
    pods.put(pod("young", 95))
    pods.put(pod("old", 5))
    api.version, api.pages = 90, [[]]
    api.tell("ERROR", {"code": 410, "message": "too old resource version"})
    eventually(lambda: names(pods) == ["young"])


def test_older_word_of_a_pod_loses(api: ApiServer, pods: Watched) -> None:
    api.tell("MODIFIED", pod("a", 11, "Running"))
    eventually(lambda: phase(pods, "a") == "Running")
    pods.put(pod("a", 3, "Pending"))
    assert phase(pods, "a") == "Running"


def test_server_that_keeps_no_watch_open_is_not_flooded(api: ApiServer, pods: Watched) -> None:
    for _ in range(100):
        api.events.put(END)
    threading.Event().wait(2.5)
    assert len(api.asked) <= 4


def test_refusal_has_its_code_and_words(cluster: Cluster) -> None:
    with pytest.raises(ApiError, match="pods is forbidden") as caught:
        cluster.request("GET", "/api/v1/refused")
    assert caught.value.status == 403
    assert cluster.calls == {"GET": 1}


@pytest.mark.parametrize("path", ["/api/v1/cut", "/api/v1/page"])
def test_answer_that_is_none_is_told_as_silence(cluster: Cluster, path: str) -> None:
    """A server that dies while it answers, or something before it that answers in its place."""
    with pytest.raises(ApiError, match="does not answer") as caught:
        cluster.request("GET", path)
    assert (caught.value.status, caught.value.asked) == (0, True)


def test_log_that_breaks_off_is_told(cluster: Cluster) -> None:
    with pytest.raises(ApiError, match="does not answer"):
        cluster.end_of("/api/v1/cut", query={}, most=9)


def test_refusal_that_breaks_off_keeps_its_code(cluster: Cluster) -> None:
    with pytest.raises(ApiError) as caught:
        cluster.request("GET", "/api/v1/cut-refusal")
    assert caught.value.status == 500


def test_requests_are_counted_by_what_they_ask_and_get(api: ApiServer, cluster: Cluster) -> None:
    cluster.request("GET", cluster.of("pods"))
    for path in ("/api/v1/refused", "/api/v1/cut"):
        with pytest.raises(ApiError):
            cluster.request("GET", path)
    api.events.put(END)
    list(cluster.lines(cluster.of("pods"), query={"watch": "1"}, seconds=5.0))
    assert cluster.asked[Asked("list", "pods", "200")] == 1
    assert cluster.asked[Asked("watch", "pods", "200")] == 1
    assert sum(cluster.asked.values()) == sum(cluster.calls.values()) == 4


@pytest.mark.parametrize(
    ("method", "path", "query", "verb", "resource"),
    [
        ("POST", "/api/v1/namespaces/runs/pods", {}, "create", "pods"),
        ("GET", "/api/v1/namespaces/runs/pods/run-1", {}, "get", "pods"),
        ("GET", "/api/v1/namespaces/runs/pods/run-1/log", {}, "get", "pods/log"),
        ("GET", "/api/v1/namespaces/runs/secrets", {"limit": "5"}, "list", "secrets"),
        ("DELETE", "/api/v1/namespaces/runs/secrets/run-1", {}, "delete", "secrets"),
        ("PATCH", "/api/v1/namespaces/runs/pods/run-1", {}, "patch", "pods"),
        ("GET", "/api/v1/nodes", {}, "list", "nodes"),
        ("GET", "/readyz", {}, "get", "readyz"),
    ],
)
def test_a_request_has_the_words_of_rules(
    method: str, path: str, query: dict[str, str], verb: str, resource: str
) -> None:
    assert asked(method, path, query, code="200") == Asked(verb, resource, "200")


def test_pod_that_is_not_understood_hides_no_other(api: ApiServer, pods: Watched) -> None:
    """Whoever may make pods there could else blind the service with one."""
    odd = pod("odd", 11)
    odd["metadata"]["annotations"] = {LEASE: "soon"}
    worse = pod("worse", 12)
    worse["metadata"]["labels"] = None
    worse["status"] = {"conditions": "none", "phase": "Pending"}
    api.version, api.pages = 90, [[odd, worse, pod("b", 80, "Running")]]
    api.tell("ADDED", worse)
    api.tell("ADDED", pod("c", 13))
    eventually(lambda: phase(pods, "c") == "Pending")
    api.tell("ERROR", {"code": 410, "message": "too old resource version"})
    eventually(lambda: names(pods) == ["b", "odd"])


def test_server_that_is_away_is_told(api: ApiServer, cluster: Cluster) -> None:
    api.shutdown()
    api.server_close()
    with pytest.raises(ApiError, match="does not answer") as caught:
        cluster.request("GET", "/api/v1/pods")
    assert caught.value.status == 0


def test_configuration_that_is_none_is_told(tmp_path: Path) -> None:
    with pytest.raises(ClusterConfigError, match="cannot be used"):
        Cluster(ClusterSettings(kubeconfig=tmp_path / "none"))
