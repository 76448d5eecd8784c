"""A queue's canary on a cluster: two images, each the engines of pods of its own."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from minio import Minio

from dli.client import Client
from tests.cluster.test_spark import ACCOUNT
from tests.support import cluster as clusters
from tests.support.cluster import Cluster, Namespace, wait
from tests.support.servers import S3Server
from tests.support.service import in_process

pytestmark = [pytest.mark.xdist_group("cluster-canary"), pytest.mark.timeout(600)]

MIB = 1 << 20
QUEUE = "default"
NOWHERE = "localhost/dli:nowhere"
TOTALS = "SELECT n % 10 AS k, count(*) AS c, sum(n) AS s FROM numbers GROUP BY n % 10"


@dataclass(frozen=True, slots=True, kw_only=True)
class Here:
    """The service of this module, where it starts pods, and the two images."""

    client: Client
    namespace: Namespace
    image: str
    other: str

    def ask(self, sql: str = TOTALS, engine: str = "sail") -> Any:
        return self.client.run(sql, engine=engine, timeout="5m").raw

    def engine_pods(self) -> set[tuple[str, str]]:
        """Those that live, by name and image."""
        pods = self.namespace.get("pods")["items"]
        return {
            (each["metadata"]["name"], each["spec"]["containers"][0]["image"])
            for each in pods
            if each["status"].get("phase") in ("Pending", "Running")
            and "deletionTimestamp" not in each["metadata"]
        }

    def pod_images(self) -> set[str]:
        return {image for _, image in self.engine_pods()}

    def figures(self) -> Any:
        return self.client.canary(QUEUE)["figures"]

    def eventually(self, fact: Any) -> None:
        wait(fact, 240.0, lambda: self.namespace.kubectl("get", "pods"))


@pytest.fixture(scope="module")
def here(
    cluster: Cluster, pod_s3: S3Server, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Here]:
    other = clusters.second_image(cluster)
    if other is None:
        pytest.skip("DLI_TEST_SECOND_IMAGE names no second image of the given cluster")
    bucket, folder = pod_s3.bucket(), tmp_path_factory.mktemp("files")
    pq.write_table(pa.table({"n": list(range(100_000))}), folder / "numbers.parquet")
    store = Minio(
        pod_s3.settings.endpoint,
        access_key=pod_s3.settings.access_key,
        secret_key=pod_s3.settings.secret_key,
        secure=False,
    )
    store.fput_object(bucket, "numbers/one.parquet", str(folder / "numbers.parquet"))
    with cluster.namespace(f"canary-{os.urandom(3).hex()}") as namespace:
        namespace.kubectl("wait", "serviceaccount/default", "--for=create", "--timeout=180s")
        namespace.create(*ACCOUNT)
        settings: dict[str, Any] = {
            "launcher": "kubernetes",
            "kubernetes_kubeconfig": cluster.kubeconfig,
            "kubernetes_image": cluster.image,
            "kubernetes_namespace": namespace.name,
            "kubernetes_pull_policy": "Never",
            "kubernetes_service_account": "spark",
            "warehouse": f"s3://{bucket}/warehouse",
            "buckets": (bucket,),
            "s3_endpoint": pod_s3.settings.endpoint,
            "s3_access_key": pod_s3.settings.access_key,
            "s3_secret_key": pod_s3.settings.secret_key,
            "s3_secure": False,
            "engine_cores": 1,
            "sail_memory": 512 * MIB,
            "spark_executors": 1,
            "spark_executor_cores": 1,
            "spark_executor_memory": 1536 * MIB,
        }
        home: Path = tmp_path_factory.mktemp("home")
        with in_process(home, **settings) as service, Client(service.url, service.token) as client:
            client.update_queue(QUEUE, overcommit=1000)  # the nodes are small
            client.register_table("default.numbers", f"s3://{bucket}/numbers/one.parquet")
            yield Here(client=client, namespace=namespace, image=cluster.image, other=other)
        namespace.emptied()  # the service takes all its pods with it


def test_an_image_is_compared_split_to_and_promoted(here: Here) -> None:
    own = here.ask()["engine"]
    assert (own["image"], own["canary"]) == (here.image, None)
    assert here.pod_images() == {here.image}
    made = here.client.start_canary(QUEUE, image=here.other, percent=0, shadow=100)
    assert here.ask()["engine"]["canary"] is None
    here.eventually(lambda: here.figures()["shadow"]["equal"] == 1)
    assert here.pod_images() == {here.image, here.other}
    here.client.change_canary(QUEUE, percent=100, shadow=0)
    there = here.ask()
    assert (there["engine"]["image"], there["engine"]["canary"]) == (here.other, made["id"])
    here.client.promote_canary(QUEUE)
    after = here.ask()
    assert (after["engine"]["image"], after["engine"]["canary"]) == (here.other, None)
    assert here.client.queue(QUEUE)["pods"]["image"] == here.other
    here.eventually(lambda: here.pod_images() == {here.other})


def test_executors_of_a_canary_have_its_image(here: Here) -> None:
    here.client.update_queue(QUEUE, pods={"image": here.image})
    here.client.start_canary(QUEUE, image=here.other, percent=100)
    before = here.engine_pods()
    done = here.ask(engine="spark")
    assert (done["state"], done["attempt"], done["engine"]["image"]) == ("finished", 1, here.other)
    made = here.engine_pods() - before
    assert {image for _, image in made} == {here.other}
    assert len(made) >= 2, "a driver and its executor"
    here.client.roll_back_canary(QUEUE)


def test_an_image_that_nobody_has_costs_no_statement(here: Here) -> None:
    here.client.start_canary(QUEUE, image=NOWHERE, percent=100)
    done = here.ask()
    assert (done["state"], done["attempt"]) == ("finished", 2)
    assert done["engine"]["image"] != NOWHERE
    canary = here.client.canary(QUEUE)
    assert canary["figures"]["split"]["rescued"] == 1
    assert "image" in canary["worst"][0]["message"]
    assert here.client.roll_back_canary(QUEUE)["state"] == "rolled_back"
    here.eventually(lambda: NOWHERE not in here.pod_images())
