"""Two namespaces as two clusters of one service; the way to the second one's API server can be cut.

Its pods and the service reach each other all the same, as where only an API server is away.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
import yaml

from jobs.launchers.pods import ENGINE, JOB, ROLE, RUN
from jobs.lifecycle.runs import cluster_of
from storage.base.ids import RunId
from tests.cluster.test_image_tasks import end, submit
from tests.support.cluster import Cluster, Namespace
from tests.support.proxies import Gate
from tests.support.runs import eventually
from tests.support.servers import S3Server
from tests.support.service import in_process

pytestmark = pytest.mark.xdist_group("fleet")  # one service; the last test cuts its way

LEASE = "15s"


@dataclass(frozen=True, slots=True, kw_only=True)
class Here:
    """The service, the namespaces of both clusters, and the way to the second one."""

    client: httpx.Client
    near: Namespace
    far: Namespace
    gate: Gate

    def weigh(self, **clusters: int) -> None:
        told = {"overcommit": 1000, "pods": {"clusters": clusters}}  # the nodes are small
        answer = self.client.patch("/queues/default", json=told)
        assert answer.status_code == 200, answer.text

    def tasks(self, count: int, script: str, **more: Any) -> list[dict[str, Any]]:
        """Of one attempt each, so that none of them may fail."""
        return [submit(self.client, "sh", "-c", script, **more) for _ in range(count)]

    def claims(self, job: dict[str, Any]) -> list[str]:
        """The clusters in which its attempts were to start."""
        attempts = self.client.get(f"/jobs/{job['id']}").json()["attempts"]
        return [cluster_of(RunId(each["run"])) for each in attempts]

    def ask(self, number: int) -> None:
        body = {"sql": f"SELECT {number} AS n", "wait": "60s", "timeout": "5m"}
        answer = self.client.post("/statements", json=body)
        assert end(self.client, answer.json())["state"] == "finished"

    def runs(self, namespace: Namespace, role: str = JOB) -> set[str]:
        pods = namespace.get("pods", "-l", f"{RUN},{ROLE}={role}")["items"]
        return {each["metadata"]["labels"][RUN] for each in pods}

    def cluster(self, name: str) -> dict[str, Any]:
        found: dict[str, Any] = self.client.get(f"/clusters/{name}").json()
        return found


def through(gate: Gate, kubeconfig: Path, path: Path) -> Path:
    """The same cluster, seen through the gate, whose address is in no certificate."""
    config = yaml.safe_load(kubeconfig.read_text())
    for each in config["clusters"]:
        host = urlsplit(each["cluster"]["server"]).hostname
        each["cluster"] |= {"server": f"https://127.0.0.1:{gate.port}", "tls-server-name": host}
    path.write_text(yaml.safe_dump(config))
    return path


@pytest.fixture(scope="module")
def here(
    cluster: Cluster, pod_s3: S3Server, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Here]:
    home, keys = tmp_path_factory.mktemp("service"), pod_s3.settings
    config = yaml.safe_load(cluster.kubeconfig.read_text())
    server = urlsplit(config["clusters"][0]["cluster"]["server"])
    suffix = os.urandom(3).hex()
    assert server.hostname
    with (
        Gate((server.hostname, server.port or 443)) as gate,
        cluster.namespace(f"fleet-near-{suffix}") as near,
        cluster.namespace(f"fleet-far-{suffix}") as far,
    ):
        through(gate, cluster.kubeconfig, home / "far.yaml")
        clusters = home / "clusters.toml"
        clusters.write_text(f'[far]\nkubeconfig = "far.yaml"\nnamespace = "{far.name}"\n')
        with (
            in_process(
                home,
                launcher="kubernetes",
                kubernetes_kubeconfig=cluster.kubeconfig,
                kubernetes_namespace=near.name,
                kubernetes_clusters=clusters,
                kubernetes_image=cluster.image,
                kubernetes_pull_policy="Never",
                warehouse=f"s3://{pod_s3.bucket()}/warehouse",
                s3_endpoint=keys.endpoint,
                s3_access_key=keys.access_key,
                s3_secret_key=keys.secret_key,
                s3_secure=keys.secure,
                run_lease=LEASE,
                task_commands=("sh",),
                engine_cores=1,
                sail_memory=1024 << 20,
                engine_start_timeout="300s",
            ) as service,
            service.client() as client,
        ):
            yield Here(client=client, near=near, far=far, gate=gate)


def test_statements_leave_a_drained_cluster(here: Here) -> None:
    here.weigh(far=1)
    here.ask(1)
    assert (len(here.runs(here.far, ENGINE)), len(here.runs(here.near, ENGINE))) == (1, 0)
    here.weigh(default=1, far=1)
    here.client.patch("/clusters/far", json={"drained": True})
    here.ask(2)
    assert len(here.runs(here.near, ENGINE)) == 1
    eventually(lambda: not here.runs(here.far, ENGINE))
    here.client.patch("/clusters/far", json={"drained": False})


def test_work_is_spread_drained_and_taken_over(here: Here) -> None:
    here.weigh(default=1, far=1)
    spread = here.tasks(4, "sleep 3; echo done")
    eventually(lambda: (len(here.runs(here.near)), len(here.runs(here.far))) == (2, 2))
    assert Counter(each for job in spread for each in here.claims(job)) == {"default": 2, "far": 2}
    assert {here.cluster(name)["runs"] for name in ("default", "far")} == {2}

    assert here.client.patch("/clusters/far", json={"drained": True}).json()["drained"]
    later = here.tasks(2, "echo done")
    ends = [end(here.client, job) for job in (*spread, *later)]
    assert {job["state"] for job in ends} == {"finished"}, [job.get("error") for job in ends]
    assert [here.claims(job) for job in later] == [["default"], ["default"]]
    here.client.patch("/clusters/far", json={"drained": False})

    here.weigh(far=1)
    [lasting] = here.tasks(1, "sleep 1000", retry={"attempts": 2})
    eventually(lambda: here.client.get(f"/jobs/{lasting['id']}").json()["state"] == "running")
    here.weigh(default=1, far=1000)
    here.gate.shut()
    moved = [end(here.client, job) for job in here.tasks(4, "echo done")]
    assert {job["state"] for job in moved} == {"finished"}, [job.get("error") for job in moved]
    assert {here.claims(job)[-1] for job in moved} == {"default"}
    assert all(set(here.claims(job)[:-1]) <= {"far"} for job in moved)
    eventually(lambda: not here.cluster("far")["answers"])
    [left] = here.runs(here.far)
    assert lasting["id"].partition("_")[2] in left, "nothing else was started there"
    assert here.client.get(f"/jobs/{lasting['id']}").json()["state"] == "running", "nor was it lost"

    here.far.kubectl("delete", "pod", "--all", "--grace-period=0", "--force", "--wait=false")
    eventually(lambda: here.claims(lasting) == ["far", "default"])
    eventually(lambda: len(here.runs(here.near)) == 1)
    here.client.post(f"/jobs/{lasting['id']}/cancel")
    assert end(here.client, lasting)["state"] == "cancelled"
