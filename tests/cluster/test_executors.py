"""What people are told of executors that do not start, and of one that the kernel kills."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from dli.client import Client
from tests.cluster.test_spark import ACCOUNT
from tests.support.cluster import Cluster, Namespace, wait
from tests.support.servers import S3Server
from tests.support.service import in_process

pytestmark = [
    pytest.mark.xdist_group("cluster-executors"),
    pytest.mark.spark,
    pytest.mark.timeout(600),
]

MIB = 1 << 20
SMALL = {"cores": 1, "memory": "1536MiB"}
SECONDS = 240.0  #: for a Spark that starts on a machine which does much else

COUNTING = """
from dli_batch import session
print("rows", session().sparkContext.parallelize(range(10), 2).count())
"""
#: The executor's heap has no room for it, nor is it ever spilled.
HUNGRY = """
from dli_batch import session
session().range(1).selectExpr("size(sequence(0, 900000000 + int(id)))").collect()
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Here:
    client: Client
    namespace: Namespace
    folder: Path

    def batch(self, text: str, **options: Any) -> dict[str, Any]:
        """A batch with one executor, tried once."""
        program = self.folder / "program.py"
        program.write_text(text)
        return dict(
            self.client.submit_batch(
                program,
                driver=SMALL,
                executor=SMALL,
                executors=1,
                timeout="10m",
                retry={"attempts": 1},
                wait="0s",
                **options,
            )
        )

    def until(self, fact: Any) -> None:
        wait(fact, SECONDS, lambda: self.namespace.kubectl("get", "pods"))


@pytest.fixture(scope="module")
def here(
    cluster: Cluster, pod_s3: S3Server, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Here]:
    with cluster.namespace(f"executors-{os.urandom(3).hex()}") as namespace:
        namespace.create(*ACCOUNT)
        namespace.kubectl("wait", "serviceaccount/default", "--for=create", "--timeout=180s")
        settings: dict[str, Any] = {
            "launcher": "kubernetes",
            "kubernetes_kubeconfig": cluster.kubeconfig,
            "kubernetes_image": cluster.image,
            "kubernetes_namespace": namespace.name,
            "kubernetes_pull_policy": "Never",
            "kubernetes_service_account": "spark",
            "warehouse": f"s3://{pod_s3.bucket()}/warehouse",
            "s3_endpoint": pod_s3.settings.endpoint,
            "s3_access_key": pod_s3.settings.access_key,
            "s3_secret_key": pod_s3.settings.secret_key,
            "s3_secure": False,
        }
        folder = tmp_path_factory.mktemp("home")
        with (
            in_process(folder, **settings) as service,
            Client(service.url, service.token) as client,
        ):
            client.update_queue("default", overcommit=1000)  # the nodes are small
            yield Here(client=client, namespace=namespace, folder=folder)
        namespace.emptied()


def test_executors_that_no_node_takes_are_told_until_one_does(here: Here) -> None:
    """The job goes on all the while."""
    label = f"dli.test/{here.namespace.name}"
    template = {"spec": {"nodeSelector": {label: "fits"}}}
    here.client.create_queue("picky", overcommit=1000, pods={"executor_template": template})
    job = here.batch(COUNTING, queue="picky")
    here.until(lambda: here.client.job(job["id"])["obstacle"])
    seen = here.client.job(job["id"])
    assert seen["state"] == "running"
    obstacle = seen["obstacle"]
    assert (obstacle["reason"], obstacle["blame"], obstacle["executors"]) == (
        "unschedulable",
        "operator",
        True,
    )
    told = here.client.explain_job(job["id"])["story"]
    assert any("Its executors do not start (unschedulable" in line for line in told), told
    [node, *_] = here.namespace.cluster.get("nodes")["items"]
    name = node["metadata"]["name"]
    here.namespace.kubectl("label", "node", name, f"{label}=fits")
    try:
        done = here.client.wait_job(job)
    finally:
        here.namespace.kubectl("label", "node", name, f"{label}-")
    assert (done["state"], done["obstacle"]) == ("finished", None)


def test_an_executor_without_memory_is_told_as_the_jobs_want_of_it(here: Here) -> None:
    here.client.update_queue("default", conf_allowed=["spark.task.*"])
    job = here.batch(HUNGRY, conf={"spark.task.maxFailures": "1"})
    done = here.client.wait_job(job)
    with here.client.log(job["id"]) as parts:
        log = b"".join(parts).decode()
    assert done["state"] == "failed"
    assert done["error"]["code"] == "out_of_memory", log[-6000:]
    [attempt] = done["attempts"]
    assert attempt["facts"]["end"] == "out_of_memory"
    told = "\n".join(here.client.explain_job(job["id"])["story"])
    assert "for want of memory" in told, told
