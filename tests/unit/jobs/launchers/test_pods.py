from __future__ import annotations

import base64
import json
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from jobs.launchers import pods
from jobs.launchers.api import Capacity, Limits, PodOptions, RunSpec, SecretKey
from jobs.launchers.pods import Order, PodSettings, merged, name_of, pod, secret, token_in
from storage.base.ids import RunId

SETTINGS = PodSettings(installation="dli", namespace="runs", image="localhost/dli:1")
GIB = 1 << 30


def spec(**more: Any) -> RunSpec:
    values: dict[str, Any] = {
        "run_id": RunId("run_01abc_2"),
        "command": ("/bin/sh", "-c", "echo secret words"),
        "environment": {"AWS_SECRET_ACCESS_KEY": "hush"},
        "directory": Path("/var/dli/run_01abc_2/work"),
        "memory_bytes": 2 * GIB,
        "limits": Limits(cores=2),
        "labels": {"job": "job_01abc", "project": "default"},
        **more,
    }
    return RunSpec(**values)


def container(manifest: pods.Manifest) -> dict[str, Any]:
    (found,) = [each for each in manifest["spec"]["containers"] if each["name"] == "run"]
    return dict(found)


def test_name_is_a_dns_label() -> None:
    assert name_of(RunId("run_01ABC_2")) == "run-01abc-2"


def test_image_is_pulled_with_the_secrets_of_the_settings() -> None:
    made = pod(spec(), replace(SETTINGS, pull_secrets=("registry",)), owner="replica_1")
    assert made["spec"]["imagePullSecrets"] == [{"name": "registry"}]
    assert "imagePullSecrets" not in pod(spec(), SETTINGS, owner="replica_1")["spec"]


@pytest.mark.parametrize(
    ("name", "value"),
    [("night", "night"), ("night_", "night"), ("a-_-", "a"), ("x" * 64, "x" * 63)],
)
def test_labels_have_values_that_a_cluster_takes(name: str, value: str) -> None:
    """A queue may be called ``night_``, a label's value may not end like this."""
    made = pod(spec(labels={"queue": name}), SETTINGS, owner="replica_1")
    assert made["metadata"]["labels"]["dli.dev/queue"] == value


def test_pod_says_nothing_of_the_order() -> None:
    made = pod(spec(lease=timedelta(minutes=1)), SETTINGS, owner="replica_1")
    assert "hush" not in json.dumps(made)
    assert "secret words" not in json.dumps(made)


def test_secret_has_the_order_and_the_token() -> None:
    order = Order(token="a token", lease=timedelta(minutes=1), inputs="http://store/in")
    made = secret(spec(), order, SETTINGS, owner="replica_1")
    told = json.loads(base64.b64decode(made["data"]["order.json"]))
    assert told["environment"] == {"AWS_SECRET_ACCESS_KEY": "hush"}
    assert (told["lease"], told["inputs"], told["outputs"]) == (60.0, "http://store/in", None)
    assert token_in(made) == "a token"
    assert "a token" not in repr(order)


def test_values_of_others_are_references_that_the_porter_hands_on() -> None:
    variables = {"AWS_SECRET_ACCESS_KEY": SecretKey("sales-s3", "key")}
    options = PodOptions(variables=variables, passes=("AWS_ROLE_ARN",), service_account="sales")
    made = pod(spec(pod=options), SETTINGS, owner="replica_1")
    reference = {"secretKeyRef": {"name": "sales-s3", "key": "key"}}
    assert {"name": "AWS_SECRET_ACCESS_KEY", "valueFrom": reference} in container(made)["env"]
    assert made["spec"]["serviceAccountName"] == "sales"
    order = Order(token="a token", lease=timedelta(minutes=1))
    kept = secret(spec(pod=options), order, SETTINGS, owner="replica_1")
    told = json.loads(base64.b64decode(kept["data"]["order.json"]))
    assert told["passes"] == ["AWS_SECRET_ACCESS_KEY", "AWS_ROLE_ARN"]


def test_pod_is_restricted() -> None:
    made = pod(spec(), SETTINGS, owner="replica_1")
    assert made["spec"]["securityContext"]["runAsNonRoot"] is True
    assert made["spec"]["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert made["spec"]["automountServiceAccountToken"] is False
    assert container(made)["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }


def test_folder_of_the_run_is_where_the_planner_said() -> None:
    mounts = container(pod(spec(), SETTINGS, owner="replica_1"))["volumeMounts"]
    assert {"name": "home", "mountPath": "/var/dli/run_01abc_2"} in mounts


def test_limits_are_the_run_and_its_porter() -> None:
    resources = container(pod(spec(), SETTINGS, owner="replica_1"))["resources"]
    assert resources["limits"]["cpu"] == "2"
    assert resources["limits"]["memory"] == "2096Mi"
    assert resources["requests"]["memory"] == "2096Mi"


def test_requests_are_what_is_reserved() -> None:
    options = PodOptions(reserves=Capacity(cpu_millis=500, memory_bytes=GIB))
    resources = container(pod(spec(pod=options), SETTINGS, owner="replica_1"))["resources"]
    assert resources["requests"]["cpu"] == "500m"
    assert resources["requests"]["memory"] == "1072Mi"
    assert resources["limits"]["cpu"] == "2"


def test_no_request_is_above_its_limit() -> None:
    options = PodOptions(reserves=Capacity(cpu_millis=9000, memory_bytes=9 * GIB))
    resources = container(pod(spec(pod=options), SETTINGS, owner="replica_1"))["resources"]
    assert resources["requests"]["cpu"] == "2000m"
    assert resources["requests"]["memory"] == resources["limits"]["memory"]


def test_only_what_makes_pods_has_an_account() -> None:
    settings = PodSettings(
        installation="dli", namespace="runs", image="i", service_account="dli-driver"
    )
    driver = pod(spec(pod=PodOptions(makes_pods=True)), settings, owner="replica_1")
    assert driver["spec"]["serviceAccountName"] == "dli-driver"
    assert driver["spec"]["automountServiceAccountToken"] is True
    assert pod(spec(), settings, owner="replica_1")["spec"]["serviceAccountName"] == "default"


def test_roles_tell_engines_from_jobs() -> None:
    engine = pod(spec(), SETTINGS, owner="replica_1")["metadata"]["labels"]
    job = pod(spec(lease=timedelta(minutes=1)), SETTINGS, owner="replica_1")["metadata"]["labels"]
    assert (engine[pods.ROLE], job[pods.ROLE]) == ("engine", "job")
    assert engine[pods.RUN] == "run_01abc_2"
    assert engine["dli.dev/job"] == "job_01abc"


def test_deadline_is_the_porters_first_and_then_the_kubelets() -> None:
    made = pod(spec(timeout=timedelta(seconds=10)), SETTINGS, owner="replica_1")
    assert made["spec"]["activeDeadlineSeconds"] == 72
    assert "activeDeadlineSeconds" not in pod(spec(), SETTINGS, owner="replica_1")["spec"]


def test_template_adds_what_we_do_not_say() -> None:
    template = {
        "metadata": {"labels": {"team": "growth"}, "annotations": {"a": "b"}},
        "spec": {
            "nodeSelector": {"disk": "fast"},
            "tolerations": [{"key": "spot", "operator": "Exists"}],
            "priorityClassName": "high",
            "containers": [
                {"name": "run", "env": [{"name": "X", "value": "1"}], "image": "other"},
                {"name": "proxy", "image": "proxy:1"},
            ],
            "volumes": [{"name": "fast", "emptyDir": {"medium": "Memory"}}],
        },
    }
    made = pod(spec(pod=PodOptions(template=template)), SETTINGS, owner="replica_1")
    assert made["metadata"]["labels"]["team"] == "growth"
    assert made["spec"]["nodeSelector"] == {"disk": "fast"}
    assert made["spec"]["priorityClassName"] == "high"
    assert container(made)["image"] == "localhost/dli:1"
    assert {"name": "X", "value": "1"} in container(made)["env"]
    assert [each["name"] for each in made["spec"]["containers"]] == ["run", "proxy"]
    assert {"name": "fast", "emptyDir": {"medium": "Memory"}} in made["spec"]["volumes"]


def test_template_cannot_take_our_labels_or_commands() -> None:
    template = {
        "metadata": {"labels": {pods.RUN: "another"}, "finalizers": ["x/y"]},
        "spec": {"restartPolicy": "Always", "containers": [{"name": "run", "command": ["evil"]}]},
    }
    made = pod(spec(pod=PodOptions(template=template)), SETTINGS, owner="replica_1")
    assert made["metadata"]["labels"][pods.RUN] == "run_01abc_2"
    assert made["metadata"]["finalizers"] == [pods.FINALIZER, "x/y"]
    assert made["spec"]["restartPolicy"] == "Never"
    assert "evil" not in container(made)["command"]


def test_operators_choose_the_security_context() -> None:
    template = {"spec": {"securityContext": {"runAsUser": 1000}, "schedulerName": "volcano"}}
    made = merged(template, {"spec": {"securityContext": {"runAsUser": 185, "fsGroup": 185}}})
    assert made["spec"]["securityContext"] == {"runAsUser": 1000, "fsGroup": 185}
    assert made["spec"]["schedulerName"] == "volcano"


def test_bare_image_gets_the_porter_brought() -> None:
    options = PodOptions(image="tools:1", bare=True)
    made = pod(spec(pod=options), SETTINGS, owner="replica_1")
    (bringer,) = made["spec"]["initContainers"]
    run = container(made)
    assert (bringer["image"], run["image"]) == ("localhost/dli:1", "tools:1")
    assert "imagePullPolicy" not in run, "which depends on the tag"
    (target,) = [each["mountPath"] for each in bringer["volumeMounts"]]
    assert bringer["command"][-1] == target
    assert run["command"][0] == f"{target}/loader"
    assert {"name": "porter", "mountPath": target, "readOnly": True} in run["volumeMounts"]
    assert bringer["resources"] == run["resources"], "the pod needs no more than its run"
    assert bringer["securityContext"] == run["securityContext"]


def test_bare_image_keeps_its_environment() -> None:
    order = Order(token="t", lease=timedelta(minutes=1))
    for bare in (True, False):
        made = secret(spec(pod=PodOptions(bare=bare)), order, SETTINGS, owner="replica_1")
        told = json.loads(base64.b64decode(made["data"]["order.json"]))
        assert (told["inherits"], told["authorities"] is not None) == (bare, bare)
