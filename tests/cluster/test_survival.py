"""Whoever dies on the way: no run is lost, none runs twice, and nothing of it is left behind."""

from __future__ import annotations

import contextlib
import random
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from jobs.launchers.api import Launcher, RunExistsError, RunSpec, RunState
from jobs.launchers.pod_launcher import KubernetesLauncher
from jobs.launchers.pods import name_of
from storage.base.ids import RunId, new_id
from storage.objects.s3 import S3Store
from tests.support.cluster import Cluster, ClusterError, Namespace
from tests.support.pods import pod_launcher
from tests.support.runs import NOW, begun, ended, eventually, spec
from tests.support.servers import S3Server

LEASE = timedelta(minutes=10)  # nobody renews it here; shorter ones are given where one runs out
WAITS = "trap 'echo bye; exit 3' TERM; echo $$; while :; do sleep 0.05; done"
ROUNDS = 200


@pytest.fixture(scope="module")
def runs(cluster: Cluster) -> Iterator[Namespace]:
    with cluster.namespace("survival") as made:
        yield made


@pytest.fixture
def store(pod_s3: S3Server) -> S3Store:
    return S3Store(pod_s3.bucket(), "", pod_s3.settings)


@pytest.fixture
def launcher(runs: Namespace, store: S3Store, tmp_path: Path) -> Iterator[KubernetesLauncher]:
    with pod_launcher(runs, store, tmp_path / "first", installation="one") as made:
        yield made


@pytest.fixture
def other(
    launcher: KubernetesLauncher, runs: Namespace, store: S3Store, tmp_path: Path
) -> Iterator[KubernetesLauncher]:
    """A launcher of another replica of the same service, with a disk of its own."""
    with pod_launcher(
        runs, store, tmp_path / "second", installation="one", owner="replica_other"
    ) as made:
        yield made


def nothing_left(runs: Namespace) -> bool:
    return not runs.get("pods")["items"] and not runs.get("secrets")["items"]


def test_of_two_that_race_one_launches(
    launcher: KubernetesLauncher, other: KubernetesLauncher
) -> None:
    run_id = RunId(new_id("run", datetime.now(UTC)))

    def launch(each: Launcher) -> bool:
        try:
            each.launch(
                RunSpec(
                    run_id=run_id,
                    command=("/bin/sh", "-c", "echo once"),
                    directory=each.directory(run_id),
                    lease=LEASE,
                )
            )
        except RunExistsError:
            return False
        return True

    replicas = (launcher, other)
    with ThreadPoolExecutor() as several:
        launched = list(several.map(launch, replicas))
    assert sorted(launched) == [False, True]
    eventually(lambda: all(each.status(run_id).state is not RunState.GONE for each in replicas))
    for each in replicas:
        assert ended(each, run_id).exit_code == 0
        assert each.logs(run_id).data == b"once\n"


def test_run_is_adopted_by_another_replica(
    launcher: KubernetesLauncher, other: KubernetesLauncher
) -> None:
    made = spec(launcher, f"mkdir out; echo kept > out/file; {WAITS}", lease=LEASE, keeps=("out",))
    launcher.launch(made)
    begun(launcher, made.run_id)
    assert other.adopt(made.run_id).state is RunState.RUNNING
    assert made.run_id in set(other.known())
    eventually(lambda: other.logs(made.run_id).data)
    other.renew([made.run_id], at=other.moment())
    status = other.stop(made.run_id, grace=timedelta(seconds=5), reason="enough")
    assert (status.exit_code, status.reason) == (3, "enough")
    assert (other.directory(made.run_id) / "out" / "file").read_bytes() == b"kept\n"
    assert other.logs(made.run_id).data.endswith(b"bye\n")


def test_engines_of_others_are_not_ours_to_stop(
    launcher: KubernetesLauncher, other: KubernetesLauncher
) -> None:
    made = spec(launcher, WAITS)
    launcher.launch(made)
    begun(launcher, made.run_id)
    assert made.run_id not in set(other.known())
    assert made.run_id in set(launcher.known())


def test_run_ends_when_nobody_renews(launcher: KubernetesLauncher) -> None:
    made = spec(launcher, WAITS, lease=timedelta(seconds=5), grace=timedelta(seconds=1))
    launcher.launch(made)
    status = ended(launcher, made.run_id)
    assert (status.exit_code, status.reason) == (3, "lease")


def test_pod_that_an_operator_deletes_has_its_end_told(
    launcher: KubernetesLauncher, runs: Namespace
) -> None:
    made = spec(launcher, WAITS, lease=LEASE)
    launcher.launch(made)
    begun(launcher, made.run_id)
    runs.kubectl("delete", "pod", name_of(made.run_id), "--wait=false")
    status = ended(launcher, made.run_id)
    assert (status.exit_code, status.reason) == (3, "stopped")
    assert launcher.logs(made.run_id).data.endswith(b"bye\n")


def test_first_process_killed_takes_all_with_it(
    launcher: KubernetesLauncher, runs: Namespace
) -> None:
    made = spec(launcher, WAITS, lease=LEASE)
    launcher.launch(made)
    begun(launcher, made.run_id)
    kill = "import os; [os.kill(int(p), 9) for p in os.listdir('/proc') if p.isdigit() and p > '1']"
    with contextlib.suppress(ClusterError):  # it kills itself as well
        runs.kubectl("exec", name_of(made.run_id), "--", "/opt/dli/bin/python", "-c", kill)
    assert ended(launcher, made.run_id).exit_code == -9


def test_api_server_that_dies_takes_no_run_with_it(
    cluster: Cluster, launcher: KubernetesLauncher
) -> None:
    if cluster.run is None:
        pytest.skip("a given cluster's API server is not ours to kill")
    made = spec(launcher, "echo begun; sleep 4; echo through", lease=LEASE)
    launcher.launch(made)
    eventually(lambda: launcher.logs(made.run_id).data)
    cluster.kill("apiserver")
    threading.Event().wait(1.0)
    assert not launcher.status(made.run_id).state.ended
    cluster.start("apiserver")
    status = ended(launcher, made.run_id)
    assert (status.exit_code, status.reason) == (0, None)
    assert launcher.logs(made.run_id).data == b"begun\nthrough\n"


def test_kubelet_that_dies_takes_no_run_with_it(
    cluster: Cluster, launcher: KubernetesLauncher, runs: Namespace
) -> None:
    if cluster.run is None:
        pytest.skip("a given cluster's kubelets are not ours to kill")
    made = spec(launcher, "echo begun; sleep 4; echo through", lease=LEASE)
    launcher.launch(made)
    eventually(lambda: launcher.logs(made.run_id).data)
    node = runs.pod(name_of(made.run_id))["spec"]["nodeName"]
    cluster.kill(f"{node}-kubelet")
    threading.Event().wait(6.0)
    cluster.start(f"{node}-kubelet")
    status = ended(launcher, made.run_id)
    assert (status.exit_code, status.reason) == (0, None)
    assert launcher.logs(made.run_id).data == b"begun\nthrough\n"


def test_rounds_of_any_end_leave_nothing(
    launcher: KubernetesLauncher, other: KubernetesLauncher, runs: Namespace, store: S3Store
) -> None:
    """Each round launches and ends in one of the ways; what it cost the API server is counted."""
    before = dict(launcher.calls)
    chance = random.Random(7)

    def once(way: str) -> None:
        script = "exit 5" if way == "itself" else WAITS
        made = spec(launcher, script, lease=LEASE)
        launcher.launch(made)
        if way in {"running", "deleted", "adopted"}:
            begun(launcher, made.run_id)
        if way == "deleted":
            runs.kubectl("delete", "pod", name_of(made.run_id), "--wait=false")
        elif way == "adopted":
            other.adopt(made.run_id)
            other.stop(made.run_id, grace=NOW)
        elif way != "itself":
            launcher.stop(made.run_id, grace=timedelta(seconds=chance.choice((0, 1))))
        ended(launcher, made.run_id)
        launcher.forget(made.run_id)

    ways = ["itself", "running", "early", "deleted", "adopted"] * (ROUNDS // 5)
    with ThreadPoolExecutor(max_workers=10) as several:
        list(several.map(once, ways))
    eventually(lambda: nothing_left(runs))
    assert not list(launcher.known())
    assert not list(store.list("runs/"))
    spent = sum(launcher.calls.values()) - sum(before.values())
    assert spent / ROUNDS <= 6
