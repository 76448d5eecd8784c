"""From nothing to the first result on Kubernetes, beside a plain Spark in the same cluster.

For the cluster that ``DLI_TEST_KUBECONFIG`` names (``make cluster-up`` prints it for that of the
tests), with ``DLI_TEST_IMAGE`` in its nodes and this machine at ``DLI_TEST_POD_HOST``; without it
there are no rows. Then what the launcher asks of the API server, and how late it sees a change.
"""

from __future__ import annotations

import statistics
import time
import uuid
from collections import defaultdict
from collections.abc import Iterator
from datetime import timedelta
from functools import partial
from pathlib import Path

from benchmarks.measuring import Context, Row, percentile
from benchmarks.plain_spark import plain_batch, plain_server
from benchmarks.service import pause, running_service
from dli.client import Client
from jobs.launchers.api import Limits
from jobs.launchers.cluster import Cluster as Api
from jobs.launchers.cluster import Watched
from jobs.launchers.pod_launcher import KubernetesLauncher
from jobs.launchers.pods import ClusterSettings
from storage.base.clock import SystemClock
from tests.cluster.test_spark import ACCOUNT
from tests.support.cluster import Namespace, container, given, pod
from tests.support.pods import pod_launcher
from tests.support.runs import ended, spec
from tests.support.servers import S3Server, seaweedfs

_SELECT = "SELECT 1 + 1 AS two"
_PROGRAM = """
from pyspark.sql import SparkSession
print(SparkSession.builder.getOrCreate().range(10).count(), flush=True)
"""
_SMALL = {"cores": 1, "memory": "1536MiB"}
_RUNS = 20  #: whose requests are counted
_CHANGES = 100
_MOST_CALLS = 6
_SECONDS = 30.0


def run(context: Context) -> Iterator[Row]:
    """Engines and batches as pods, each from nothing, in turns with the plain way."""
    cluster = given()
    if cluster is None or cluster.host is None:
        return
    with seaweedfs(cluster.host) as s3, cluster.namespace(f"bench-{uuid.uuid4().hex[:6]}") as here:
        here.create(*ACCOUNT)
        here.kubectl("wait", "serviceaccount/default", "--for=create", "--timeout=60s")
        yield from _starts(context, here, s3)
        with pod_launcher(here, s3, context.home("launcher")) as launcher:
            yield _calls(launcher)
        yield _lag(here)


def _starts(context: Context, here: Namespace, s3: S3Server) -> Iterator[Row]:
    program = context.folder / "first_line.py"
    program.write_text(_PROGRAM, encoding="utf-8")
    found: dict[str, list[float]] = defaultdict(list)
    environment = _environment(here, s3)
    with (
        running_service(context.home("pods"), environment=environment) as service,
        service.client() as client,
    ):
        client.update_queue("default", overcommit=400)
        for _ in range(2 if context.quick else 10):
            found["sail"].append(_statement(client, here, "sail"))
            found["spark"].append(_statement(client, here, "spark"))
            line, end = _batch(client, here, program)
            found["line"].append(line)
            found["batch"].append(end)
            found["a plain Spark"].append(plain_server(here, s3, _SELECT))
            found["a plain batch"].append(plain_batch(here, s3, _PROGRAM))
    for name, what, aim, beside in (
        ("sail", "Sail pod: submit to its first result", 1.5, "a plain Spark"),
        ("spark", "Spark pod with an executor: submit to its first result", 8.0, "a plain Spark"),
        ("line", "batch with an executor: submit to its first line", None, ""),
        ("batch", "batch with an executor: submit to its end", 15.0, "a plain batch"),
    ):
        value = statistics.median(found[name])
        yield Row(
            name=what, value=value, unit="s",
            baseline=statistics.median(found[beside]) if beside else None, beside=beside,
            aim="" if aim is None else f"≤ {aim:g}", met=None if aim is None else value <= aim,
        )  # fmt: skip


def _calls(launcher: KubernetesLauncher) -> Row:
    """From the launch of a run until it is forgotten; a watch is one request."""
    before = sum(launcher.calls.values())
    for _ in range(_RUNS):
        made = spec(launcher, "exit 0", limits=Limits(cores=1), lease=timedelta(minutes=1))
        launcher.launch(made)
        ended(launcher, made.run_id)
        launcher.forget(made.run_id)
    value = (sum(launcher.calls.values()) - before) / _RUNS
    return Row(
        name="requests to the API server for a run", value=value, unit="",
        aim=f"≤ {_MOST_CALLS}", met=value <= _MOST_CALLS,
    )  # fmt: skip


def _lag(here: Namespace) -> Row:
    """From the API server's answer to a change until the watch has told it, beside a question."""
    selector, clock = "bench=lag", SystemClock()
    one = pod("watched", container(here.cluster.image, ["sleep", "600"]))
    here.create({**one, "metadata": {"name": "watched", "labels": {"bench": "lag"}}})
    settings = ClusterSettings(kubeconfig=here.cluster.kubeconfig, namespace=here.name)
    api = Api(settings)
    watched = Watched(api, selector, clock)
    here.ready("watched")
    path = api.of("pods", "watched")
    lags, asked = [], []

    def seen(version: int) -> bool:
        view = watched.get("watched")
        return view is not None and view.version >= version

    for number in range(_CHANGES):
        change = {"metadata": {"annotations": {"bench": str(number)}}}
        version = int(api.request("PATCH", path, change)["metadata"]["resourceVersion"])
        began = time.perf_counter()
        if not watched.wait_for(partial(seen, version), _SECONDS):
            raise TimeoutError("the watch did not tell of a change")
        lags.append((time.perf_counter() - began) * 1000)
        began = time.perf_counter()
        api.request("GET", path)
        asked.append((time.perf_counter() - began) * 1000)
    watched.close()
    api.close()
    return Row(
        name="a change of a pod until the service has seen it, p99", value=percentile(lags, 0.99),
        unit="ms", baseline=percentile(asked, 0.99), beside="asking once",
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
    _until_empty(here)
    return seconds


def _batch(client: Client, here: Namespace, program: Path) -> tuple[float, float]:
    """Seconds to the first line and to the end."""
    began = time.perf_counter()
    job = client.submit_batch(program, driver=_SMALL, executor=_SMALL, executors=1, timeout="10m")
    with client.log(job["id"], follow=True) as pieces:
        first = next(iter(pieces), None)
        line = time.perf_counter() - began
        for _ in pieces:
            continue
    done = client.wait_job(client.job(job["id"]))
    end = time.perf_counter() - began
    if first is None or done["state"] != "finished":
        raise RuntimeError(f"the batch did not end well: {done}")
    _until_empty(here)
    return line, end


def _until_empty(here: Namespace) -> None:
    while here.get("pods")["items"]:
        pause(0.5)
