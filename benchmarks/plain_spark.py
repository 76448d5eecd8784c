"""PySpark's own ``spark-submit`` in a pod, with nothing tuned: no archive of classes, Spark's
defaults, one executor; made and asked without a service in between."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

from benchmarks.service import pause
from jobs.launchers.windows import listens
from tests.cluster.test_spark import META, SERVER, confs
from tests.support.cluster import Namespace, container, pod
from tests.support.connect import asked
from tests.support.servers import S3Server

_SECONDS = 240


def plain_server(here: Namespace, s3: S3Server, sql: str) -> float:
    """Seconds from the creation of a driver's pod to its first result by Spark Connect."""

    def wait() -> None:
        has_address = "--for=jsonpath={.status.podIP}"
        here.kubectl("wait", "pod/plain", has_address, f"--timeout={_SECONDS}s")
        address, until = here.pod("plain")["status"]["podIP"], time.monotonic() + _SECONDS
        while not listens(address, 15002):
            if time.monotonic() > until:
                raise TimeoutError(here.why("plain"))
            pause(0.05)
        asked(f"{address}:15002", sql)

    return _timed(here, s3, ["--class", SERVER, "spark-internal"], wait)


def plain_batch(here: Namespace, s3: S3Server, program: str) -> float:
    """Seconds from the creation of a driver's pod to the end of its Python program."""

    def wait() -> None:
        ended = "--for=jsonpath={.status.phase}=Succeeded"
        here.kubectl("wait", "pod/plain", ended, f"--timeout={_SECONDS}s")

    return _timed(here, s3, ["/etc/spark/program.py"], wait, program=program)


def _timed(
    here: Namespace,
    s3: S3Server,
    application: list[str],
    wait: Callable[[], None],
    *,
    program: str = "",
) -> float:
    settings = {**confs(here, s3), "spark.kubernetes.driver.pod.name": "plain"}
    settings["spark.kubernetes.executor.podTemplateFile"] = "/etc/spark/executor.json"
    options = [f"--conf={key}={value}" for key, value in settings.items()]
    template = pod("executor", container(here.cluster.image, []))
    data = {"executor.json": json.dumps(template), "program.py": program}
    config = {"apiVersion": "v1", "kind": "ConfigMap", **META, "data": data}
    words = ["--master", "k8s://https://kubernetes.default.svc", *options, *application]
    main: dict[str, Any] = container(
        here.cluster.image,
        ["/opt/dli/bin/spark-submit", *words],
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
        wait()
        return time.perf_counter() - began
    finally:
        here.kubectl("delete", "configmap/spark", "pod/plain", "--grace-period=0", "--force")
        while here.get("pods")["items"]:
            pause(0.5)
