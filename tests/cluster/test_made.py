"""The pods that runs make themselves: counted by their node's clock, ended and let go."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from jobs.launchers.api import RunSpec, RunState
from jobs.launchers.pod_launcher import KubernetesLauncher
from jobs.launchers.pods import (
    CONTAINER,
    DRIVER,
    EXECUTOR,
    FINALIZER,
    INSTALLATION,
    MANAGED,
    ROLE,
    name_of,
)
from storage.base.ids import RunId
from tests.support.cluster import Namespace, container, pod, wait
from tests.support.pods import pod_launcher
from tests.support.servers import S3Server

RUN = RunId("run_01made_1")


@pytest.fixture
def launcher(
    namespace: Namespace, pod_s3: S3Server, tmp_path: Path
) -> Iterator[KubernetesLauncher]:
    namespace.kubectl("wait", "serviceaccount/default", "--for=create", "--timeout=180s")
    with pod_launcher(namespace, pod_s3, tmp_path, installation="made") as made:
        yield made


def launch(launcher: KubernetesLauncher, *, lease: bool = True) -> None:
    """A run that sleeps; with a lease a job's, else an engine."""
    launcher.launch(
        RunSpec(
            run_id=RUN,
            command=("/bin/sleep", "1000"),
            directory=launcher.directory(RUN),
            merged=False,
            lease=timedelta(minutes=5) if lease else None,
        )
    )
    until(lambda: launcher.status(RUN).state is RunState.RUNNING)


def make(namespace: Namespace, name: str, seconds: float, **spec: Any) -> None:
    """What the run makes: a pod as its driver would, owned by the run's own."""
    uid = namespace.pod(name_of(RUN))["metadata"]["uid"]
    main = container(namespace.cluster.image, ["sleep", str(seconds)]) | {"name": CONTAINER}
    made: dict[str, Any] = pod(name, main, **spec)
    made["metadata"] |= {
        "finalizers": [FINALIZER],
        "labels": {MANAGED: "dli", INSTALLATION: "made", ROLE: EXECUTOR, DRIVER: RUN},
        "ownerReferences": [{"apiVersion": "v1", "kind": "Pod", "name": name_of(RUN), "uid": uid}],
    }
    namespace.create(made)


def until(fact: Any, seconds: float = 60.0) -> None:
    wait(fact, seconds, lambda: "it never came true")


def test_what_a_run_made_is_counted_ended_and_let_go(
    launcher: KubernetesLauncher, namespace: Namespace
) -> None:
    launch(launcher)
    make(namespace, "short", 2)
    make(namespace, "long", 1000)
    until(lambda: namespace.phase("short") == "Succeeded")
    namespace.kubectl("delete", "pod", "short", "--wait=false")
    until(lambda: launcher.status(RUN).made_seconds > 4)
    ended = launcher.stop(RUN, grace=timedelta(0))
    assert ended.state is RunState.EXITED, "nothing of it lives when this is said"
    state = namespace.pod("long")["status"]["containerStatuses"][0]["state"]
    assert "terminated" in state
    assert ended.made_seconds >= 4
    assert launcher.status(RUN).made_seconds == ended.made_seconds, "it does not go on"
    launcher.forget(RUN)
    until(lambda: not namespace.get("pods")["items"])


def test_what_keeps_them_from_starting_is_told_while_it_does(
    launcher: KubernetesLauncher, namespace: Namespace
) -> None:
    launch(launcher)
    make(namespace, "good", 1000)
    until(lambda: namespace.phase("good") == "Running")
    assert launcher.status(RUN).made_problem is None
    make(namespace, "stuck", 1000, nodeSelector={"disk": "of-gold"})
    until(lambda: launcher.status(RUN).made_problem is not None)
    status = launcher.status(RUN)
    assert status.state is RunState.RUNNING
    assert status.made_problem is not None
    assert (status.problem, status.made_problem.code) == (None, "unschedulable")
    namespace.kubectl("delete", "pod", "stuck", "--wait=false")
    until(lambda: launcher.status(RUN).made_problem is None)
    launcher.stop(RUN, grace=timedelta(0))
    launcher.forget(RUN)
    until(lambda: not namespace.get("pods")["items"])


def test_a_run_is_not_over_while_what_it_made_lives(
    launcher: KubernetesLauncher, namespace: Namespace
) -> None:
    launch(launcher)
    make(namespace, "child", 1000)
    until(lambda: namespace.phase("child") == "Running")
    namespace.kubectl("delete", "pod", name_of(RUN), "--grace-period=0", "--force", "--wait=false")
    until(lambda: launcher.status(RUN).state.ended)
    assert "terminated" in namespace.pod("child")["status"]["containerStatuses"][0]["state"]
    launcher.forget(RUN)
    until(lambda: not namespace.get("pods")["items"])


def test_what_an_engine_made_is_let_go_when_it_has_ended(
    launcher: KubernetesLauncher, namespace: Namespace
) -> None:
    launch(launcher, lease=False)
    make(namespace, "child", 1)
    until(lambda: namespace.phase("child") == "Succeeded")
    until(lambda: namespace.get("pods")["items"][0]["metadata"]["name"] != "child")
    counted = launcher.status(RUN).made_seconds
    assert counted >= 1
    assert [each["metadata"]["name"] for each in namespace.get("pods")["items"]] == [name_of(RUN)]
    assert launcher.status(RUN).made_seconds == counted
