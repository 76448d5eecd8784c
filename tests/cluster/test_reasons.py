"""What people are told, through the API, when the cluster does not run their job: every reason."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import httpx
import pytest

from tests.support.cluster import Cluster, Namespace
from tests.support.runs import eventually
from tests.support.servers import S3Server
from tests.support.service import in_process

pytestmark = pytest.mark.timeout(600)

MIB = 1 << 20
PYTHON = "/opt/dli/bin/python"
PATIENCE = 20.0  # seconds that a pod is waited for


@dataclass(frozen=True, slots=True, kw_only=True)
class Here:
    """A service whose runs are pods."""

    http: httpx.Client
    namespace: Namespace

    def queue(self, name: str, **pod: Any) -> str:
        """A queue whose pods have that in their ``spec``."""
        body = {"name": name, "pods": {"template": {"spec": pod}}}
        self.http.post("/queues", json=body).raise_for_status()
        return name

    def submit(self, *command: str, **more: Any) -> dict[str, Any]:
        """A task that is tried once, as it is at first."""
        body = {"command": list(command), "retry": {"attempts": 1}, "wait": "0s", **more}
        answer = self.http.post("/tasks", json=body)
        answer.raise_for_status()
        job: dict[str, Any] = answer.json()
        return job

    def end(self, job: dict[str, Any]) -> dict[str, Any]:
        """What has become of it."""
        eventually(lambda: self.look(job)["terminal"])
        return self.look(job)

    def task(self, *command: str, **more: Any) -> dict[str, Any]:
        """The end of a task that is tried once."""
        return self.end(self.submit(*command, **more))

    def look(self, job: dict[str, Any]) -> dict[str, Any]:
        found: dict[str, Any] = self.http.get(f"/jobs/{job['id']}").json()
        return found


@pytest.fixture(scope="module")
def here(
    cluster: Cluster, pod_s3: S3Server, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Here]:
    with cluster.namespace("reasons") as namespace:
        settings: dict[str, Any] = {
            "launcher": "kubernetes",
            "kubernetes_kubeconfig": cluster.kubeconfig,
            "kubernetes_image": cluster.image,
            "kubernetes_namespace": namespace.name,
            "kubernetes_pull_policy": "Never",
            "kubernetes_scratch": 64 * MIB,
            "run_start_timeout": f"{PATIENCE:.0f}s",
            "warehouse": f"s3://{pod_s3.bucket()}/warehouse",
            "s3_endpoint": pod_s3.settings.endpoint,
            "s3_access_key": pod_s3.settings.access_key,
            "s3_secret_key": pod_s3.settings.secret_key,
            "s3_secure": False,
            "task_commands": ("/bin/sh", PYTHON),
            "task_sandbox": "off",
        }
        with in_process(tmp_path_factory.mktemp("home"), **settings) as service:
            headers = {"Authorization": f"Bearer {service.token}"}
            with httpx.Client(
                base_url=f"{service.url}/api/v1", headers=headers, timeout=90.0
            ) as http:
                yield Here(http=http, namespace=namespace)
        namespace.emptied("pods,secrets")


def told(job: dict[str, Any]) -> tuple[str, str, str, str]:
    error = job["error"]
    details = error["details"]
    return error["code"], details["reason"], details["blame"], details["again"]


def test_task_runs_in_a_pod(here: Here) -> None:
    job = here.task("/bin/sh", "-c", "echo hello")
    assert job["state"] == "finished", job["error"]
    log = here.http.get(f"/jobs/{job['id']}/logs", params={"stream": "stdout"})
    assert log.content == b"hello\n"


STUCK: dict[str, tuple[dict[str, Any], tuple[str, str, str, str]]] = {
    "selector": (
        {"nodeSelector": {"disk": "of-gold"}},
        ("run_not_started", "unschedulable", "operator", "later"),
    ),
    "config": (
        {"containers": [{"name": "run", "envFrom": [{"configMapRef": {"name": "nope"}}]}]},
        ("run_not_started", "pod_config_invalid", "operator", "never"),
    ),
    "account": (
        {"serviceAccountName": "nope"},
        ("run_not_started", "service_account_missing", "operator", "never"),
    ),
    "policy": (
        {"hostNetwork": True},
        ("run_not_started", "admission_refused", "operator", "never"),
    ),
    "form": (
        {"tolerations": [{"operator": "Perhaps"}]},
        ("run_not_started", "pod_invalid", "operator", "never"),
    ),
}


Jobs = dict[str, dict[str, Any]]


@pytest.fixture(scope="module")
def slow(here: Here) -> Jobs:
    """Those that the cluster takes its time with, all at once."""
    jobs = {
        name: here.submit("/bin/sh", "-c", "sleep 30", queue=here.queue(name, **pod))
        for name, (pod, _) in STUCK.items()
    }
    script = "open('big', 'wb').write(bytes(200_000_000)); import time; time.sleep(100)"
    jobs["disk"] = here.submit(PYTHON, "-c", script)
    retry = {"attempts": 2, "pause": "100ms"}
    jobs["again"] = here.submit("/bin/sh", "-c", "exit 0", queue="selector", retry=retry)
    return jobs


@pytest.mark.usefixtures("slow")  # the longest wait of them goes on beside this one
def test_a_pod_that_is_held_back_waits_for_its_turn(here: Here) -> None:
    """As long as it takes: longer than one that finds no node is waited for."""
    queue = here.queue("gated", schedulingGates=[{"name": "example.org/turn"}])
    job = here.submit("/bin/sh", "-c", "echo mine", queue=queue)

    def obstacle() -> Any:
        return here.look(job)["obstacle"]

    eventually(obstacle)
    assert (obstacle()["reason"], obstacle()["executors"]) == ("gated", False)
    threading.Event().wait(PATIENCE + 1.0)
    assert obstacle()["message"] == "it is held back by example.org/turn"
    [pod] = here.namespace.get("pods", "-l", f"dli.dev/job={job['id']}")["items"]
    patch = '{"spec": {"schedulingGates": null}}'
    here.namespace.kubectl("patch", "pod", pod["metadata"]["name"], "--type=merge", "-p", patch)
    assert here.end(job)["state"] == "finished"


@pytest.mark.parametrize("name", STUCK)
def test_reason_is_told(here: Here, slow: Jobs, name: str) -> None:
    _, expected = STUCK[name]
    job = here.end(slow[name])
    assert job["state"] == "failed"
    assert told(job) == expected
    assert job["error"]["hint"]


def test_too_much_disk_is_told(here: Here, slow: Jobs) -> None:
    job = here.end(slow["disk"])
    assert told(job) == ("run_lost", "disk_exceeded", "user", "never")


def test_too_little_memory_is_told(here: Here) -> None:
    script = "kept = bytearray(400 << 20); import time; time.sleep(100)"
    job = here.task(PYTHON, "-c", script, memory="128MiB")
    assert job["error"]["code"] == "task_out_of_memory"


def test_quota_is_told(here: Here) -> None:
    quota = {
        "apiVersion": "v1",
        "kind": "ResourceQuota",
        "metadata": {"name": "bound"},
        "spec": {"hard": {"pods": "0"}},
    }
    here.namespace.create(quota)
    try:
        eventually(lambda: "hard" in here.namespace.get("resourcequota", "bound")["status"])
        job = here.task("/bin/sh", "-c", "exit 0")
    finally:
        here.namespace.kubectl("delete", "resourcequota", "bound")
    assert told(job) == ("run_not_started", "quota_exceeded", "operator", "later")


def test_job_that_may_be_tried_again_is(here: Here, slow: Jobs) -> None:
    job = here.end(slow["again"])
    assert job["state"] == "failed"
    assert len(job["attempts"]) == 2
