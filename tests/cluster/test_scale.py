"""A thousand pods of one launcher, on nodes that KWOK plays: what that costs it and the cluster."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import Any

import psutil
import pytest

from jobs.launchers.api import Limits, PodOptions, RunState
from jobs.launchers.pod_launcher import KubernetesLauncher
from storage.base.ids import RunId
from tests.support.cluster import Cluster, Namespace, program
from tests.support.pods import pod_launcher
from tests.support.runs import NOW, eventually, spec
from tests.support.servers import S3Server

RUNS, NODES = 1000, 10
MOST_CALLS = 6  #: of the API server for a run, from its launch until it is forgotten
MOST_GROWTH = 64 << 20  #: bytes of this process, while a thousand are followed
STAGES = Path(__file__).with_name("kwok.yaml")
PLAYED = {"dli-test": "played"}


@pytest.fixture
def nodes(cluster: Cluster, tmp_path: Path) -> Iterator[None]:
    """Ten nodes that nothing runs on."""
    kwok = program("kwok")
    if kwok is None:
        pytest.skip("there is no kwok: tests/cluster/build kwok")
    names = [f"played-{number}" for number in range(NODES)]
    taint = {"key": "dli-test", "value": "played", "effect": "NoSchedule"}
    made: list[dict[str, Any]] = [
        {
            "apiVersion": "v1",
            "kind": "Node",
            "metadata": {"name": name, "labels": PLAYED},
            "spec": {"taints": [taint]},
        }
        for name in names
    ]
    command = [kwok, f"--kubeconfig={cluster.kubeconfig}", f"--config={STAGES}"]
    command += ["--manage-nodes-with-label-selector=dli-test=played"]
    command += ["--node-lease-duration-seconds=40", "--server-address="]
    with (tmp_path / "kwok.log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        cluster.kubectl("apply", "-f", "-", given=made)
        cluster.kubectl("wait", "--for=condition=Ready", "node", *names, "--timeout=180s")
        yield
    finally:
        cluster.kubectl("delete", "node", *names, "--ignore-not-found", "--wait=false")
        process.terminate()
        process.wait()


@pytest.fixture
def launcher(
    namespace: Namespace, pod_s3: S3Server, tmp_path: Path
) -> Iterator[KubernetesLauncher]:
    with pod_launcher(namespace, pod_s3, tmp_path / "runs") as made:
        yield made


@pytest.mark.timeout(900)
def test_a_thousand_pods_cost_little(
    nodes: None, launcher: KubernetesLauncher, namespace: Namespace
) -> None:
    template = {"spec": {"nodeSelector": PLAYED, "tolerations": [{"operator": "Exists"}]}}

    def launch(_: int) -> RunId:
        made = spec(launcher, "exit 0", limits=Limits(cores=1), pod=PodOptions(template=template),
                    lease=timedelta(minutes=1))  # fmt: skip
        launcher.launch(made)
        return made.run_id

    def end(run_id: RunId) -> None:
        assert launcher.stop(run_id, grace=NOW, reason="enough").reason == "enough"
        launcher.forget(run_id)

    process = psutil.Process()
    with ThreadPoolExecutor(max_workers=8) as several:
        before = process.memory_info().rss
        runs = list(several.map(launch, range(RUNS)))
        eventually(
            lambda: all(launcher.status(each).state is RunState.RUNNING for each in runs), 300.0
        )
        grown = process.memory_info().rss - before
        list(several.map(end, runs))
    assert not list(launcher.known())
    eventually(lambda: not namespace.get("pods")["items"])
    assert not namespace.get("secrets")["items"]
    assert sum(launcher.calls.values()) / RUNS <= MOST_CALLS
    assert grown <= MOST_GROWTH
