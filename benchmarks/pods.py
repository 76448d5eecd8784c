"""From nothing to the first result on Kubernetes, beside a plain Spark in the same cluster.

For the cluster that ``DLI_TEST_KUBECONFIG`` names (``make cluster-up`` prints it for that of the
tests), with ``DLI_TEST_IMAGE`` in its nodes and this machine at ``DLI_TEST_POD_HOST``; without it
there are no rows.
The plain way is PySpark's own ``spark-submit`` with nothing tuned: no archive of classes, Spark's
defaults, one executor; its pod is made and asked without a service in between.
"""

from __future__ import annotations

import json
import statistics
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks.measuring import Context, Row
from benchmarks.service import pause, running_service
from dli.client import Client
from jobs.launchers.windows import listens
from tests.cluster.test_spark import ACCOUNT, META, SERVER, confs
from tests.support.cluster import Namespace, container, given, pod
from tests.support.connect import asked
from tests.support.servers import S3Server, seaweedfs

_SELECT = "SELECT 1 + 1 AS two"
_PROGRAM = """
from pyspark.sql import SparkSession
print(SparkSession.builder.getOrCreate().range(10).count(), flush=True)
"""
_SMALL = {"cores": 1, "memory": "1536MiB"}
_SECONDS = 240.0


def run(context: Context) -> Iterator[Row]:
    """Engines and batches as pods, each from nothing, in turns with the plain way."""
    cluster = given()
    if cluster is None or cluster.host is None:
        return
    times = 2 if context.quick else 5
    program = context.folder / "first_line.py"
    program.write_text(_PROGRAM, encoding="utf-8")
    found: dict[str, list[float]] = {"sail": [], "spark": [], "batch": [], "plain": []}
    with seaweedfs(cluster.host) as s3, cluster.namespace(f"bench-{uuid.uuid4().hex[:6]}") as here:
        here.create(*ACCOUNT)
        here.kubectl("wait", "serviceaccount/default", "--for=create", "--timeout=60s")
        environment = _environment(here, s3)
        with (
            running_service(context.home("pods"), environment=environment) as service,
            service.client() as client,
        ):
            client.update_queue("default", overcommit=400)
            for _ in range(times):
                found["sail"].append(_statement(client, here, "sail"))
                found["spark"].append(_statement(client, here, "spark"))
                found["batch"].append(_batch(client, program))
                found["plain"].append(_plain(here, s3))
    plain = statistics.median(found["plain"])
    beside = "a plain Spark"
    for name, what, aim in (
        ("sail", "Sail pod: submit to its first result", 1.5),
        ("spark", "Spark pod with an executor: submit to its first result", 8.0),
        ("batch", "batch with an executor: submit to its first line", 15.0),
    ):
        value = statistics.median(found[name])
        yield Row(
            name=what, value=value, unit="s", baseline=plain, beside=beside,
            aim=f"≤ {aim:g}", met=value <= aim,
        )  # fmt: skip


def _environment(here: Namespace, s3: S3Server) -> dict[str, str]:
    return {
        "DLI_LAUNCHER": "kubernetes",
        "DLI_KUBERNETES_KUBECONFIG": str(here.cluster.kubeconfig),
        "DLI_KUBERNETES_IMAGE": here.cluster.image,
        "DLI_KUBERNETES_NAMESPACE": here.name,
        "DLI_KUBERNETES_PULL_POLICY": "Never",
        "DLI_KUBERNETES_SERVICE_ACCOUNT": "spark",
        "DLI_WAREHOUSE": f"s3://{s3.bucket()}/warehouse",
        "DLI_S3_ENDPOINT": s3.settings.endpoint,
        "DLI_S3_ACCESS_KEY": s3.settings.access_key,
        "DLI_S3_SECRET_KEY": s3.settings.secret_key,
        "DLI_S3_SECURE": "false",
        "DLI_ENGINE_CORES": "2",
        "DLI_ENGINE_IDLE": "1s",
        "DLI_SPARK_EXECUTORS": "1",
        "DLI_SPARK_EXECUTOR_CORES": "1",
        "DLI_SPARK_EXECUTOR_MEMORY": "1536MiB",
    }


def _statement(client: Client, here: Namespace, engine: str) -> float:
    began = time.perf_counter()
    client.run(_SELECT, engine=engine, timeout="10m")
    seconds = time.perf_counter() - began
    while here.get("pods")["items"]:
        pause(0.5)
    return seconds


def _batch(client: Client, program: Path) -> float:
    began = time.perf_counter()
    job = client.submit_batch(program, driver=_SMALL, executor=_SMALL, executors=1, timeout="10m")
    with client.log(job["id"], follow=True) as pieces:
        first = next(iter(pieces), None)
        seconds = time.perf_counter() - began
        for _ in pieces:
            continue
    done = client.wait_job(client.job(job["id"]))
    if first is None:
        raise RuntimeError(f"the batch wrote nothing: {done}")
    return seconds


def _plain(here: Namespace, s3: S3Server) -> float:
    """Seconds from the creation of a driver's pod to its first result."""
    settings = {**confs(here, s3), "spark.kubernetes.driver.pod.name": "plain"}
    settings["spark.kubernetes.executor.podTemplateFile"] = "/etc/spark/executor.json"
    options = [f"--conf={key}={value}" for key, value in settings.items()]
    template = pod("executor", container(here.cluster.image, []))
    data = {"executor.json": json.dumps(template)}
    config = {"apiVersion": "v1", "kind": "ConfigMap", **META, "data": data}
    words = ["--master", "k8s://https://kubernetes.default.svc", *options, "--class", SERVER]
    main: dict[str, Any] = container(
        here.cluster.image,
        ["/opt/dli/bin/spark-submit", *words, "spark-internal"],
        memory="2Gi",
        env=[{"name": "POD_IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}}],
        volumeMounts=[
            {"name": "tmp", "mountPath": "/tmp"},  # noqa: S108  the container's own
            {"name": "settings", "mountPath": "/etc/spark"},
        ],
    )
    volumes = [
        {"name": "tmp", "emptyDir": {}},
        {"name": "settings", "configMap": {"name": "spark"}},
    ]
    began = time.perf_counter()
    here.create(config, pod("plain", main, serviceAccountName="spark", volumes=volumes))
    try:
        while True:
            address = here.pod("plain")["status"].get("podIP")
            if address and listens(address, 15002):
                break
            if time.perf_counter() - began > _SECONDS:
                raise TimeoutError(here.why("plain"))
            pause(0.05)
        asked(f"{address}:15002", _SELECT)
        return time.perf_counter() - began
    finally:
        here.kubectl("delete", "configmap/spark", "pod/plain", "--grace-period=0", "--force")
        while here.get("pods")["items"]:
            pause(0.5)
