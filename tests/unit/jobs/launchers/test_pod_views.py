"""Statuses as a real API server of Kubernetes 1.34 sent them; each with what it means to us."""

from __future__ import annotations

import json
from typing import Any

import pytest

from jobs.launchers.pod_views import problem_in, problem_of, refusal, view_of
from jobs.launchers.problems import REASONS, Again, Blame, Problem

OPERATOR, USER, PLATFORM = Blame.OPERATOR, Blame.USER, Blame.PLATFORM
NEVER, LATER, NOW, LARGER = Again.NEVER, Again.LATER, Again.NOW, Again.LARGER


def pod(phase: str, *, state: dict[str, Any] | None = None, **status: Any) -> dict[str, Any]:
    statuses = [] if state is None else [{"name": "run", "state": state}]
    return {
        "metadata": {
            "name": "run-1", "uid": "u", "resourceVersion": "7",
            "creationTimestamp": "2026-11-29T06:00:00Z", "labels": {"dli.dev/run": "run_1"},
        },
        "spec": {"nodeName": "node-1"},
        "status": {"phase": phase, "containerStatuses": statuses, **status},
    }  # fmt: skip


def ended(code: int, reason: str, message: str | None = None) -> dict[str, Any]:
    times = {"startedAt": "2026-11-29T06:00:01Z", "finishedAt": "2026-11-29T06:00:04Z"}
    told = {} if message is None else {"message": message}
    return {"terminated": {"exitCode": code, "reason": reason, **times, **told}}


def waiting(reason: str, message: str = "") -> dict[str, Any]:
    return {"waiting": {"reason": reason, "message": message}}


def unschedulable(message: str) -> dict[str, Any]:
    condition = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable"}
    return pod("Pending", conditions=[{**condition, "message": message}])


def gated(*names: str) -> dict[str, Any]:
    condition = {"type": "PodScheduled", "status": "False", "reason": "SchedulingGated"}
    made = pod("Pending", conditions=[{**condition, "message": "Scheduling is blocked"}])
    made["spec"] = {"schedulingGates": [{"name": name} for name in names]}
    return made


def disrupted(reason: str) -> dict[str, Any]:
    condition = {"type": "DisruptionTarget", "status": "True", "reason": reason, "message": "m"}
    return pod("Failed", conditions=[condition], state=ended(143, "Error"))


SEEN: dict[str, tuple[dict[str, Any], tuple[str, Blame, Again] | None]] = {
    "success": (pod("Succeeded", state=ended(0, "Completed")), None),
    "exit code": (pod("Failed", state=ended(3, "Error")), None),
    "out of memory": (
        pod("Failed", state=ended(137, "OOMKilled")), ("out_of_memory", USER, LARGER),
    ),
    "a child out of memory": (pod("Succeeded", state=ended(0, "OOMKilled")), None),
    "a child out of memory, survived and failed": (
        pod("Failed", state=ended(1, "OOMKilled", json.dumps({"code": 0}))), None,
    ),
    "image absent": (
        pod("Pending", state=waiting("ErrImageNeverPull")), ("image_unavailable", OPERATOR, NEVER),
    ),
    "registry away": (
        pod("Pending", state=waiting("ImagePullBackOff", "Back-off")),
        ("image_unavailable", OPERATOR, LATER),
    ),
    "command missing": (
        pod("Failed", state=ended(128, "StartError", 'exec: "/none": no such file')),
        ("start_failed", OPERATOR, NEVER),
    ),
    "secret not there": (
        pod("Pending", state=waiting("CreateContainerConfigError", 'secret "sales-s3" not found')),
        ("pod_config_invalid", OPERATOR, NEVER),
    ),
    "secret late at its node": (
        pod("Pending", state=waiting(
            "CreateContainerConfigError",
            "failed to sync secret cache: timed out waiting for the condition",
        )),
        ("sandbox_failed", PLATFORM, LATER),
    ),
    "too many cores": (
        unschedulable("0/1 nodes are available: 1 Insufficient cpu."),
        ("unschedulable", PLATFORM, LATER),
    ),
    "gated": (gated("kueue.x-k8s.io/admission"), ("gated", PLATFORM, LATER)),
    "no such node": (
        unschedulable("0/1 nodes are available: 1 didn't match Pod's node affinity"),
        ("unschedulable", OPERATOR, LATER),
    ),
    "config map missing": (
        pod("Pending", state=waiting("CreateContainerConfigError", 'configmap "nope" not found')),
        ("pod_config_invalid", OPERATOR, NEVER),
    ),
    "deadline": (
        pod("Failed", reason="DeadlineExceeded", state=ended(143, "Error")),
        ("deadline", USER, NEVER),
    ),
    "disk": (
        pod(
            "Failed", reason="Evicted",
            message="Pod ephemeral local storage usage exceeds the total limit of containers 50Mi.",
        ),
        ("disk_exceeded", USER, NEVER),
    ),
    "memory of the node": (
        pod("Failed", reason="Evicted", message="The node was low on resource: memory."),
        ("evicted", PLATFORM, NOW),
    ),
    "preempted": (disrupted("PreemptionByScheduler"), ("preempted", PLATFORM, LATER)),
    "node tainted": (disrupted("DeletionByTaintManager"), ("node_lost", PLATFORM, NOW)),
    "node gone": (disrupted("DeletionByPodGC"), ("node_lost", PLATFORM, NOW)),
    "drained": (disrupted("EvictionByEvictionAPI"), ("evicted", PLATFORM, NOW)),
    "node out of room": (pod("Failed", reason="OutOfcpu"), ("node_refused", PLATFORM, NOW)),
    "container unknown": (
        pod("Failed", state=ended(137, "ContainerStatusUnknown")), ("node_lost", PLATFORM, NOW),
    ),
    "outputs lost": (
        pod("Succeeded", state=ended(0, "Completed", json.dumps({"code": 0, "kept": False}))),
        ("outputs_lost", PLATFORM, LATER),
    ),
    "inputs not brought": (
        pod("Failed", state=ended(125, "Error", json.dumps({"code": None, "reason": "inputs"}))),
        ("inputs_unavailable", PLATFORM, LATER),
    ),
}  # fmt: skip


def short(problem: Problem | None) -> tuple[str, Blame, Again] | None:
    return None if problem is None else (problem.code, problem.blame, problem.again)


@pytest.mark.parametrize("name", SEEN)
def test_each_shape_has_its_meaning(name: str) -> None:
    given, meaning = SEEN[name]
    assert short(problem_of(given)) == meaning


REFUSED = {
    "quota": (
        403, 'pods "x" is forbidden: exceeded quota: q, requested: requests.cpu=1500m, used: '
        "requests.cpu=0, limited: requests.cpu=1", ("quota_exceeded", OPERATOR, LATER),
    ),
    "quota on what is not set": (
        403, 'pods "x" is forbidden: failed quota: q: must specify limits.memory for: c',
        ("pod_config_invalid", OPERATOR, NEVER),
    ),
    "limit range": (
        403, 'pods "x" is forbidden: maximum cpu usage per Container is 2, but limit is 3',
        ("limit_range", OPERATOR, NEVER),
    ),
    "account": (
        403, 'pods "x" is forbidden: error looking up service account dli/nope: serviceaccount '
        '"nope" not found', ("service_account_missing", OPERATOR, NEVER),
    ),
    "pod security": (
        403, 'pods "x" is forbidden: violates PodSecurity "restricted:v1.34": runAsNonRoot',
        ("admission_refused", OPERATOR, NEVER),
    ),
    "webhook": (
        403, 'admission webhook "policy.example" denied the request: no',
        ("admission_refused", OPERATOR, NEVER),
    ),
    "validating policy": (
        422, 'pods "x" is forbidden: ValidatingAdmissionPolicy \'p\' with binding \'b\' denied '
        "request: no pods with an exceeded quota of luck", ("admission_refused", OPERATOR, NEVER),
    ),
    "validating policy that says forbidden": (
        403, 'pods "x" is forbidden: ValidatingAdmissionPolicy \'p\' with binding \'b\' denied '
        "request: no", ("admission_refused", OPERATOR, NEVER),
    ),
    "runtime class": (
        403, 'pods "x" is forbidden: pod rejected: RuntimeClass "gvisor" not found',
        ("pod_config_invalid", OPERATOR, NEVER),
    ),
    "admission by another plugin": (
        403, 'pods "x" is forbidden: pod does not tolerate its namespace',
        ("admission_refused", OPERATOR, NEVER),
    ),
    "refused by something before the server": (
        403, "Forbidden", ("not_permitted", OPERATOR, NEVER),
    ),
    "quota that others count at": (
        409, 'Operation cannot be fulfilled on resourcequotas "q": the object has been modified',
        ("quota_exceeded", PLATFORM, LATER),
    ),
    "request of many megabytes": (
        413, "Request entity too large: limit is 3145728", ("too_large", USER, NEVER),
    ),
    "secret of more than a megabyte": (
        422, 'Secret "x" is invalid: data: Too long: may not be more than 1048576 bytes',
        ("too_large", USER, NEVER),
    ),
    "right": (
        403, 'pods is forbidden: User "system:serviceaccount:a:b" cannot create resource "pods" in '
        'API group "" in the namespace "runs"', ("not_permitted", OPERATOR, NEVER),
    ),
    "name": (
        422, 'Pod "X" is invalid: metadata.name: Invalid value: "X"',
        ("pod_invalid", OPERATOR, NEVER),
    ),
    "namespace": (404, 'namespaces "runs" not found', ("namespace_missing", OPERATOR, NEVER)),
    "server": (500, "etcdserver: request timed out", ("cluster_unavailable", PLATFORM, LATER)),
    "silence": (0, "connection refused", ("cluster_unavailable", PLATFORM, LATER)),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_each_refusal_has_its_meaning(name: str) -> None:
    code, message, meaning = REFUSED[name]
    assert short(refusal(code, message)) == meaning


def test_a_gate_is_told_by_its_name() -> None:
    problem = problem_of(gated("example.org/a", "example.org/b"))
    assert problem is not None
    assert problem.message == "it is held back by example.org/a, example.org/b"


def test_each_code_has_a_reason_and_each_reason_a_case() -> None:
    met = {meaning[0] for _, meaning in SEEN.values() if meaning is not None}
    met |= {meaning[0] for _, _, meaning in REFUSED.values()}
    assert met | {"sandbox_failed", "namespace_ending"} == set(REASONS)


def event(reason: str, message: str, at: str) -> dict[str, Any]:
    return {"reason": reason, "message": message, "lastTimestamp": at, "metadata": {}}


def test_events_tell_what_the_status_does_not() -> None:
    mount = event("FailedMount", 'configmap "nope" not found', "2026-11-29T06:00:00Z")
    sandbox = event("FailedCreatePodSandBox", "runc", "2026-11-29T06:00:05Z")
    assert short(problem_in([mount])) == ("pod_config_invalid", OPERATOR, NEVER)
    assert short(problem_in([mount, sandbox])) == ("sandbox_failed", PLATFORM, LATER)
    late = 'for volume "order": failed to sync secret cache: timed out waiting for the condition'
    slow = event("FailedMount", f"MountVolume.SetUp failed {late}", "2026-11-29T06:00:05Z")
    assert short(problem_in([slow])) == ("sandbox_failed", PLATFORM, LATER)
    assert problem_in([event("Pulled", "fine", "2026-11-29T06:00:05Z")]) is None


def test_view_keeps_the_porters_word() -> None:
    message = json.dumps({"code": 7, "reason": None, "cpu": 1.5})
    view = view_of(pod("Failed", state=ended(7, "Error", message)))
    assert (view.exit_code, view.facts["cpu"], view.over) == (7, 1.5, True)
    assert view.finished_at is not None
    assert view.started_at is not None
    assert (view.finished_at - view.started_at).total_seconds() == 3.0


def test_text_of_a_runtime_is_no_word_of_the_porter() -> None:
    assert view_of(pod("Failed", state=ended(128, "StartError", "exec: no"))).facts == {}


def test_pod_that_never_got_a_node_is_over_once_it_is_deleted() -> None:
    given = pod("Pending")
    del given["spec"]["nodeName"]
    assert not view_of(given).over
    given["metadata"]["deletionTimestamp"] = "2026-11-29T06:00:00Z"
    assert view_of(given).over


def test_other_containers_do_not_count() -> None:
    given = pod("Running")
    other = {"name": "proxy", "state": {"running": {"startedAt": "2026-11-29T06:00:00Z"}}}
    given["status"]["containerStatuses"] = [other]
    assert not view_of(given).ready


def beside(made: dict[str, Any], side_car: dict[str, Any]) -> dict[str, Any]:
    """The pod with a container of the queue's template."""
    made["status"]["containerStatuses"].append({"name": "logs", "state": side_car})
    return made


@pytest.mark.parametrize("side_car", [{"running": {}}, waiting("ImagePullBackOff")])
def test_run_is_over_when_only_side_cars_are_left(side_car: dict[str, Any]) -> None:
    """They never end, and so the pod's phase never tells."""
    view = view_of(beside(pod("Running", state=ended(137, "OOMKilled")), side_car))
    assert (view.over, view.left_others, view.exit_code) == (True, True, 137)
    assert short(view.problem) == ("out_of_memory", USER, LARGER)


@pytest.mark.parametrize(
    ("made", "over"),
    [
        (beside(pod("Running", state={"running": {}}), {"running": {}}), False),
        (beside(pod("Running", state=ended(0, "Completed")), ended(0, "Completed")), False),
        (pod("Running", state=ended(0, "Completed")), False),
        (beside(pod("Succeeded", state=ended(0, "Completed")), ended(0, "Completed")), True),
    ],
)
def test_else_the_phase_tells_the_end(made: dict[str, Any], over: bool) -> None:
    """What ended a pod may be in its status a moment later than the end of its container."""
    view = view_of(made)
    assert (view.over, view.left_others) == (over, False)


def bare(made: dict[str, Any], brought: dict[str, Any]) -> dict[str, Any]:
    """The pod of an image that is not ours, with the state of the container before it."""
    made["spec"]["initContainers"] = [{"name": "porter"}]
    made["status"]["initContainerStatuses"] = [{"name": "porter", "state": brought}]
    return made


NOT_FOUND = 'failed to resolve reference "docker.io/library/none:1": not found'
BARE: dict[str, tuple[dict[str, Any], tuple[str, Blame, Again] | None]] = {
    "the user's image is nowhere": (
        bare(pod("Pending", state=waiting("ErrImagePull", NOT_FOUND)), ended(0, "Completed")),
        ("image_unavailable", USER, NEVER),
    ),
    "the user's registry is away": (
        bare(pod("Pending", state=waiting("ImagePullBackOff", "Back-off")), ended(0, "Completed")),
        ("image_unavailable", USER, LATER),
    ),
    "our image is away": (
        bare(
            pod("Pending", state=waiting("PodInitializing")),
            waiting("ImagePullBackOff", NOT_FOUND),
        ),
        ("image_unavailable", OPERATOR, LATER),
    ),
    "the porter is not brought": (
        bare(pod("Failed", state=waiting("PodInitializing")), ended(1, "Error", "no space left")),
        ("start_failed", OPERATOR, LATER),
    ),
    "all is well": (bare(pod("Running", state={"running": {}}), ended(0, "Completed")), None),
}


@pytest.mark.parametrize("case", BARE)
def test_an_image_of_the_user_is_the_users_fault(case: str) -> None:
    made, meant = BARE[case]
    problem = problem_of(made)
    assert meant == (problem and (problem.code, problem.blame, problem.again))
