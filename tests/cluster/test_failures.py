"""Every way in which a real cluster does not start a pod, or ends it, and what we say of it.

The rows are those that the study of the cluster lists; each ends as a code, whose fault it is, and
what another attempt is good for.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from jobs.launchers.api import LaunchRefusedError, Limits, PodOptions, RunSpec, RunState, RunStatus
from jobs.launchers.pod_launcher import KubernetesLauncher
from jobs.launchers.problems import Again, Blame, Problem
from storage.base.ids import RunId
from tests.support.cluster import Cluster, Namespace
from tests.support.pods import pod_launcher
from tests.support.runs import NOW, ended, eventually, spec
from tests.support.servers import S3Server

OPERATOR, USER, PLATFORM = Blame.OPERATOR, Blame.USER, Blame.PLATFORM
NEVER, LATER, NOW_AGAIN = Again.NEVER, Again.LATER, Again.NOW
MIB = 1 << 20

Meaning = tuple[str, Blame, Again]


@pytest.fixture(scope="module")
def runs(cluster: Cluster) -> Iterator[Namespace]:
    with cluster.namespace("failures") as made:
        yield made


@pytest.fixture
def launcher(runs: Namespace, pod_s3: S3Server, tmp_path: Path) -> Iterator[KubernetesLauncher]:
    with pod_launcher(runs, pod_s3, tmp_path / "runs") as made:
        yield made


def meaning(problem: Problem | None) -> Meaning | None:
    return None if problem is None else (problem.code, problem.blame, problem.again)


def pod(**template: Any) -> PodOptions:
    return PodOptions(template={"spec": template})


def in_container(**more: Any) -> PodOptions:
    return pod(containers=[{"name": "run", **more}])


def stuck(launcher: KubernetesLauncher, made: RunSpec) -> RunStatus:
    """The status of a run that does not start, when it is known why."""
    launcher.launch(made)
    eventually(lambda: launcher.status(made.run_id).problem is not None)
    status = launcher.status(made.run_id)
    assert status.state is RunState.STARTING
    stopped = launcher.stop(made.run_id, grace=NOW, reason="enough")
    assert stopped.state.ended
    launcher.forget(made.run_id)
    return status


STUCK: dict[str, tuple[dict[str, Any], Meaning]] = {
    "image absent": (
        {"pod": PodOptions(image="localhost/nothere:1")}, ("image_unavailable", OPERATOR, NEVER),
    ),
    "too many cores": (
        {"limits": Limits(cores=1000)}, ("unschedulable", PLATFORM, LATER),
    ),
    "no such node": (
        {"pod": pod(nodeSelector={"disk": "of-gold"})}, ("unschedulable", OPERATOR, LATER),
    ),
    "environment from nowhere": (
        {"pod": in_container(envFrom=[{"configMapRef": {"name": "nope"}}])},
        ("pod_config_invalid", OPERATOR, NEVER),
    ),
    "volume from nowhere": (
        {
            "pod": pod(
                volumes=[{"name": "v", "configMap": {"name": "nope"}}],
                containers=[{"name": "run", "volumeMounts": [{"name": "v", "mountPath": "/v"}]}],
            )
        },
        ("pod_config_invalid", OPERATOR, NEVER),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", STUCK)
def test_run_that_does_not_start_says_why(launcher: KubernetesLauncher, name: str) -> None:
    more, expected = STUCK[name]
    assert meaning(stuck(launcher, spec(launcher, "exit 0", **more)).problem) == expected


def test_registry_that_does_not_answer(runs: Namespace, pod_s3: S3Server, tmp_path: Path) -> None:
    with pod_launcher(runs, pod_s3, tmp_path / "runs", pull_policy="IfNotPresent") as launcher:
        made = spec(launcher, "exit 0", pod=PodOptions(image="127.0.0.1:1/nothere:1"))
        problem = stuck(launcher, made).problem
    assert meaning(problem) == ("image_unavailable", OPERATOR, LATER)


def test_program_that_the_image_lacks(runs: Namespace, pod_s3: S3Server, tmp_path: Path) -> None:
    with pod_launcher(runs, pod_s3, tmp_path / "runs", porter=("/none",)) as launcher:
        made = spec(launcher, "exit 0")
        launcher.launch(made)
        status = ended(launcher, made.run_id)
    assert meaning(status.problem) == ("start_failed", OPERATOR, NEVER)


def test_exit_code_is_no_problem(launcher: KubernetesLauncher) -> None:
    made = spec(launcher, "exit 3")
    launcher.launch(made)
    status = ended(launcher, made.run_id)
    assert (status.exit_code, status.reason, status.problem) == (3, None, None)


def test_side_car_that_goes_on_holds_no_run_up(
    launcher: KubernetesLauncher, runs: Namespace
) -> None:
    beside = {
        "name": "logs",
        "image": runs.cluster.image,
        "imagePullPolicy": "Never",
        "command": ["sh", "-c", "trap 'exit 0' TERM; sleep 1000 & wait"],
        "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
    }
    made = spec(launcher, "exit 3", pod=pod(containers=[beside]))
    launcher.launch(made)
    status = ended(launcher, made.run_id)
    assert (status.exit_code, status.reason, status.problem) == (3, None, None)
    launcher.forget(made.run_id)
    name = made.run_id.replace("_", "-")
    eventually(lambda: name not in _names(runs))


def _names(runs: Namespace) -> list[str]:
    return [each["metadata"]["name"] for each in runs.get("pods")["items"]]


def test_kubelets_deadline_is_one(launcher: KubernetesLauncher) -> None:
    made = spec(launcher, "exec sleep 1000", pod=pod(activeDeadlineSeconds=3))
    launcher.launch(made)
    assert ended(launcher, made.run_id).reason == "deadline"


def test_disk_beyond_its_bound(runs: Namespace, pod_s3: S3Server, tmp_path: Path) -> None:
    with pod_launcher(runs, pod_s3, tmp_path / "runs", scratch_bytes=64 * MIB) as launcher:
        made = spec(launcher, "head -c 200000000 /dev/zero > big; exec sleep 1000")
        launcher.launch(made)
        eventually(lambda: launcher.status(made.run_id).state.ended, 120.0)
        status = launcher.status(made.run_id)
    assert meaning(status.problem) == ("disk_exceeded", USER, NEVER)


def test_eviction_by_an_operator(launcher: KubernetesLauncher, runs: Namespace) -> None:
    made = spec(launcher, "trap 'exit 1' TERM; echo $$; while :; do sleep 0.1; done")
    launcher.launch(made)
    eventually(lambda: _runs(launcher, made))
    name = made.run_id.replace("_", "-")
    eviction = {
        "apiVersion": "policy/v1",
        "kind": "Eviction",
        "metadata": {"name": name, "namespace": runs.name},
    }
    path = f"/api/v1/namespaces/{runs.name}/pods/{name}/eviction"
    runs.cluster.kubectl("create", "--raw", path, "-f", "-", given=eviction)
    assert meaning(ended(launcher, made.run_id).problem) == ("evicted", PLATFORM, NOW_AGAIN)


def _runs(launcher: KubernetesLauncher, made: RunSpec) -> bool:
    return launcher.status(made.run_id).state is RunState.RUNNING


REFUSED: dict[str, tuple[dict[str, Any], Meaning]] = {
    "no such account": (
        {"pod": pod(serviceAccountName="nope")}, ("service_account_missing", OPERATOR, NEVER),
    ),
    "against the policy": (
        {"pod": pod(hostNetwork=True)}, ("admission_refused", OPERATOR, NEVER),
    ),
    "no pod at all": (
        {"pod": pod(tolerations=[{"operator": "Perhaps"}])}, ("pod_invalid", OPERATOR, NEVER),
    ),
    "no such priority": (
        {"pod": pod(priorityClassName="nope")}, ("pod_config_invalid", OPERATOR, NEVER),
    ),
}  # fmt: skip


def refused(launcher: KubernetesLauncher, made: RunSpec) -> Meaning | None:
    with pytest.raises(LaunchRefusedError) as caught:
        launcher.launch(made)
    assert launcher.status(made.run_id).state is RunState.GONE
    return meaning(caught.value.problem)


@pytest.mark.parametrize("name", REFUSED)
def test_run_that_is_refused_leaves_nothing(
    launcher: KubernetesLauncher, runs: Namespace, name: str
) -> None:
    more, expected = REFUSED[name]
    assert refused(launcher, spec(launcher, "exit 0", **more)) == expected
    assert not runs.get("secrets")["items"]


BOUNDS: dict[str, tuple[dict[str, Any], dict[str, Any], Meaning]] = {
    "quota": (
        {"kind": "ResourceQuota", "spec": {"hard": {"requests.cpu": "1"}}},
        {"limits": Limits(cores=2)}, ("quota_exceeded", OPERATOR, LATER),
    ),
    "quota on what is not said": (
        {"kind": "ResourceQuota", "spec": {"hard": {"limits.memory": "1Gi"}}},
        {}, ("pod_config_invalid", OPERATOR, NEVER),
    ),
    "limit range": (
        {"kind": "LimitRange", "spec": {"limits": [{"type": "Container", "max": {"cpu": "1"}}]}},
        {"limits": Limits(cores=2)}, ("limit_range", OPERATOR, NEVER),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", BOUNDS)
def test_bounds_of_the_namespace_are_told(
    namespace: Namespace, pod_s3: S3Server, tmp_path: Path, name: str
) -> None:
    bound, more, expected = BOUNDS[name]
    namespace.create({"apiVersion": "v1", "metadata": {"name": "bound"}, **bound})
    eventually(lambda: _in_force(namespace, bound["kind"]))
    with pod_launcher(namespace, pod_s3, tmp_path / "runs") as launcher:
        assert refused(launcher, spec(launcher, "exit 0", **more)) == expected


def _in_force(namespace: Namespace, kind: str) -> bool:
    found = namespace.get(kind.lower(), "bound")
    return kind != "ResourceQuota" or "hard" in found.get("status", {})


def test_quota_bounds_the_capacity(namespace: Namespace, pod_s3: S3Server, tmp_path: Path) -> None:
    hard = {"requests.cpu": "1500m", "requests.memory": "1Gi"}
    quota = {"kind": "ResourceQuota", "spec": {"hard": hard}}
    namespace.create({"apiVersion": "v1", "metadata": {"name": "bound"}, **quota})
    with pod_launcher(namespace, pod_s3, tmp_path / "runs") as launcher:
        capacity = launcher.capacity()
    assert (capacity.cpu_millis, capacity.memory_bytes) == (1500, 1 << 30)


def test_rights_that_the_service_lacks(
    namespace: Namespace, pod_s3: S3Server, tmp_path: Path
) -> None:
    namespace.kubectl("create", "serviceaccount", "poor")
    namespace.kubectl("create", "role", "poor", "--verb=get,list,watch", "--resource=pods")
    account = f"--serviceaccount={namespace.name}:poor"
    namespace.kubectl("create", "rolebinding", "poor", "--role=poor", account)
    token = namespace.kubectl("create", "token", "poor").strip()
    poor = Cluster(
        kubeconfig=_with_token(namespace.cluster.kubeconfig, token, tmp_path / "config"),
        image=namespace.cluster.image, host=None, run=None,
    )  # fmt: skip
    with pod_launcher(namespace, pod_s3, tmp_path / "runs", through=poor) as launcher:
        assert refused(launcher, spec(launcher, "exit 0")) == ("not_permitted", OPERATOR, NEVER)


def _with_token(kubeconfig: Path, token: str, target: Path) -> Path:
    """The same cluster, as somebody else."""
    command = ("config", "view", "--raw", "--flatten", "-o", "json")
    found = json.loads(
        Cluster(kubeconfig=kubeconfig, image="", host=None, run=None).kubectl(*command)
    )
    found["users"] = [{"name": each["name"], "user": {"token": token}} for each in found["users"]]
    target.write_text(json.dumps(found))
    return target


def test_preempted_run_says_so(launcher: KubernetesLauncher, runs: Namespace) -> None:
    nodes = runs.cluster.get("nodes")["items"]
    for name, value in (("dli-test-low", -10), ("dli-test-high", 10)):
        made = {"apiVersion": "scheduling.k8s.io/v1", "kind": "PriorityClass", "value": value}
        runs.cluster.kubectl("apply", "-f", "-", given={**made, "metadata": {"name": name}})
    try:
        waits = "trap 'exit 1' TERM; echo $$; while :; do sleep 0.1; done"
        low = [_large(launcher, waits, "dli-test-low") for _ in nodes]
        for each in low:
            launcher.launch(each)
        eventually(lambda: all(_runs(launcher, each) for each in low))
        high = _large(launcher, "exit 0", "dli-test-high")
        launcher.launch(high)
        eventually(lambda: any(launcher.status(each.run_id).state.ended for each in low), 120.0)
        gone = [launcher.status(each.run_id) for each in low]
        problems = {meaning(each.problem) for each in gone if each.state.ended}
        assert problems == {("preempted", PLATFORM, LATER)}
    finally:
        runs.cluster.kubectl("delete", "priorityclass", "dli-test-low", "dli-test-high")


def _large(launcher: KubernetesLauncher, script: str, priority: str) -> RunSpec:
    """Two of them do not fit on one node: it has two cores."""
    options = pod(priorityClassName=priority)
    return spec(launcher, script, limits=Limits(cores=2), pod=options)


def test_order_is_in_the_secret_only(launcher: KubernetesLauncher, runs: Namespace) -> None:
    made = spec(launcher, "exec sleep 1000")
    launcher.launch(made)
    name = made.run_id.replace("_", "-")
    assert "hush" not in json.dumps(runs.pod(name))
    order = runs.get("secret", name)["data"]["order.json"]
    assert b"hush" in base64.b64decode(order)
    launcher.stop(made.run_id, grace=NOW)
    launcher.forget(RunId(made.run_id))
    eventually(lambda: not runs.get("secrets")["items"])
