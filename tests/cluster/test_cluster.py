"""The cluster is a real one: nodes, admission, names, limits, and processes that may die."""

from __future__ import annotations

import subprocess

import pytest

from tests.support.cluster import (
    SCRIPTS,
    Cluster,
    ClusterError,
    Namespace,
    container,
    pod,
    wait,
)


def test_every_node_is_ready(cluster: Cluster) -> None:
    nodes = cluster.get("nodes")["items"]
    for node in nodes:
        conditions = {each["type"]: each["status"] for each in node["status"]["conditions"]}
        assert conditions["Ready"] == "True"
    assert cluster.run is None or len(nodes) == 2


def test_a_restricted_pod_runs_to_its_end(namespace: Namespace) -> None:
    namespace.create(pod("p", container(namespace.cluster.image, ["echo", "hello"])))
    assert namespace.ended("p") == "hello\n"


def test_a_pod_that_may_be_root_is_refused(namespace: Namespace) -> None:
    loose = container(namespace.cluster.image, ["true"]) | {"securityContext": {}}
    with pytest.raises(ClusterError, match="violates PodSecurity"):
        namespace.create(pod("p", loose))


def test_a_pod_resolves_a_service_and_reaches_it(namespace: Namespace) -> None:
    image = namespace.cluster.image
    serve = ["python", "-m", "http.server", "8000", "--directory", "/tmp"]
    ready = {"tcpSocket": {"port": 8000}, "periodSeconds": 1}
    port = {"port": 80, "targetPort": 8000}
    service = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "web"},
        "spec": {"selector": {"app": "server"}, "ports": [port]},
    }
    namespace.create(service, pod("server", container(image, serve, readinessProbe=ready)))
    namespace.ready("server")
    ask = (
        "import time, urllib.request\n"
        "for last in range(50):\n"
        "    try:\n"
        "        print(urllib.request.urlopen('http://web', timeout=5).status)\n"
        "        break\n"
        "    except OSError:\n"  # kube-proxy hears of the pod a second later
        "        time.sleep(0.2)\n"
    )
    namespace.create(pod("client", container(image, ["python", "-c", ask])))
    assert namespace.ended("client") == "200\n"


def test_a_pod_above_its_memory_is_killed(namespace: Namespace) -> None:
    greedy = ["python", "-c", "b'x' * (1 << 30)"]
    namespace.create(pod("p", container(namespace.cluster.image, greedy, memory="64Mi")))
    wait(lambda: namespace.phase("p") == "Failed", 180, lambda: namespace.why("p"))
    [status] = namespace.pod("p")["status"]["containerStatuses"]
    assert status["state"]["terminated"]["reason"] == "OOMKilled"


def test_a_killed_process_can_be_started_again(cluster: Cluster, namespace: Namespace) -> None:
    if cluster.run is None:
        pytest.skip("a given cluster's processes are not ours to kill")
    name = "scheduler"
    cluster.kill(name)
    namespace.create(pod("p", container(cluster.image, ["true"])))
    assert "nodeName" not in namespace.pod("p")["spec"]
    cluster.start(name)
    namespace.ended("p")


def test_up_starts_again_what_has_died_and_no_more(cluster: Cluster, namespace: Namespace) -> None:
    if cluster.run is None:
        pytest.skip("a given cluster's processes are not ours to kill")
    pids = cluster.run / "pid"
    before = (pids / "etcd").read_text()
    cluster.kill("scheduler")
    subprocess.run([SCRIPTS / "up"], check=True)
    namespace.create(pod("p", container(cluster.image, ["true"])))
    namespace.ended("p")
    assert (pids / "etcd").read_text() == before
