"""What a driver is told of its executors, and the pod that each is made from, as data."""

from __future__ import annotations

import base64
import json
from dataclasses import replace
from typing import Any

import pytest

from jobs.engines.executors import (
    AUTH_KEY,
    BLOCKS_PORT,
    DRIVER_PORT,
    TEMPLATE,
    DriverPod,
    ExecutorGround,
    Executors,
    confs,
    options,
    template,
)
from jobs.launchers.api import PodOptions
from jobs.launchers.pods import FINALIZER
from jobs.lifecycle.spec import Size
from storage.base.ids import RunId

GIB = 1 << 30
GROUND = ExecutorGround(installation="dli", image="dli:1", scratch_bytes=GIB)
DRIVER = DriverPod(
    run_id=RunId("run_01abc_1"),
    directory="/runs/work",
    executor_heap=3 * GIB,
    labels={"queue": "night"},
    secrets={"AWS_SECRET_ACCESS_KEY": "hidden-aws", "TOKEN": "hidden-token"},
    key="hidden-key",
)


def executors(least: int = 1, most: int = 8, **changes: Any) -> Executors:
    return Executors(least=least, most=most, size=Size(cores=2, memory_bytes=4 * GIB), **changes)


def test_driver_and_executors_meet_at_ports_that_are_known() -> None:
    """An executor's own port, too: by itself it takes any, which a NetworkPolicy does not open."""
    told = confs(DRIVER, executors(), GROUND)
    assert told["spark.driver.port"] == str(DRIVER_PORT)
    assert told["spark.driver.blockManager.port"] == str(BLOCKS_PORT)
    assert told["spark.blockManager.port"] == str(BLOCKS_PORT)


def test_executors_are_pulled_with_the_secrets_of_all_pods() -> None:
    ground = replace(GROUND, pull_secrets=("registry",))
    queue = {"spec": {"imagePullSecrets": [{"name": "other"}, {"name": "registry"}]}}
    made = template(replace(DRIVER, labels={"queue": "night_"}), executors(template=queue), ground)
    assert made["spec"]["imagePullSecrets"] == [{"name": "registry"}, {"name": "other"}]
    assert made["metadata"]["labels"]["dli.dev/queue"] == "night"


def test_the_driver_reaches_and_names_its_executors() -> None:
    told = confs(DRIVER, executors(), GROUND)
    assert told["spark.driver.host"] == told["spark.driver.bindAddress"] == "$(POD_IP)"
    assert told["spark.kubernetes.driver.pod.name"] == "$(POD_NAME)"
    assert told["spark.kubernetes.executor.podNamePrefix"] == "run-01abc-1"
    assert told["spark.kubernetes.namespace"] == "$(POD_NAMESPACE)"
    assert told["spark.kubernetes.executor.podTemplateFile"] == f"/runs/work/{TEMPLATE}"


def test_memory_is_heap_and_what_is_beside_it() -> None:
    told = confs(DRIVER, executors(), GROUND)
    assert told["spark.executor.memory"] == "3072m"
    assert told["spark.executor.memoryOverhead"] == "1024m"


def test_overcommitted_cores_are_requested_in_part() -> None:
    told = confs(DRIVER, executors(request_millis=1000), GROUND)
    assert told["spark.kubernetes.executor.request.cores"] == "1000m"
    assert told["spark.kubernetes.executor.limit.cores"] == "2"
    assert confs(DRIVER, executors(), GROUND)["spark.kubernetes.executor.request.cores"] == "2000m"


def test_an_engine_has_as_many_as_there_is_work_for() -> None:
    told = confs(DRIVER, executors(least=0, most=8), GROUND)
    assert told["spark.dynamicAllocation.initialExecutors"] == "1", "asked for while it starts"
    assert told["spark.dynamicAllocation.minExecutors"] == "0"
    assert told["spark.dynamicAllocation.maxExecutors"] == "8"
    assert told["spark.dynamicAllocation.shuffleTracking.enabled"] == "true"


def test_a_batch_has_a_fixed_number() -> None:
    told = confs(DRIVER, executors(least=3, most=3), GROUND)
    assert told["spark.executor.instances"] == "3"
    assert not any(key.startswith("spark.dynamicAllocation") for key in told)


def test_no_secret_is_in_arguments_or_manifest() -> None:
    told = json.dumps([confs(DRIVER, executors(), GROUND), template(DRIVER, executors(), GROUND)])
    assert "hidden" not in told
    assert "hidden" not in repr(DRIVER)


def test_executors_read_their_secrets_from_the_drivers() -> None:
    pod = options(PodOptions(), DRIVER, executors(), GROUND)
    [container] = json.loads(pod.files[TEMPLATE])["spec"]["containers"]
    named = {each["name"]: each["valueFrom"]["secretKeyRef"] for each in container["env"]}
    assert set(named) == {"AWS_SECRET_ACCESS_KEY", "TOKEN", "_SPARK_AUTH_SECRET"}
    for each in named.values():
        assert each["name"] == "run-01abc-1"
        assert each["key"] in pod.secrets
    assert pod.files[AUTH_KEY] == base64.b64decode(pod.secrets[AUTH_KEY]).decode() == "hidden-key"
    assert pod.makes_pods


def test_an_executor_is_counted_and_has_no_rights() -> None:
    made = template(DRIVER, executors(), GROUND)
    assert made["metadata"]["finalizers"] == [FINALIZER]
    assert made["metadata"]["labels"] == {
        "app.kubernetes.io/managed-by": "dli",
        "dli.dev/installation": "dli",
        "dli.dev/role": "executor",
        "dli.dev/driver": "run_01abc_1",
        "dli.dev/queue": "night",
    }
    spec, [container] = made["spec"], made["spec"]["containers"]
    assert spec["automountServiceAccountToken"] is False
    assert spec["securityContext"]["runAsNonRoot"] is True
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }


def test_the_queues_template_adds_to_it() -> None:
    spot = {"spec": {"tolerations": [{"key": "spot", "operator": "Exists"}]}}
    made = template(DRIVER, executors(template=spot), GROUND)
    assert made["spec"]["tolerations"] == [{"key": "spot", "operator": "Exists"}]
    assert made["metadata"]["finalizers"] == [FINALIZER]


def test_a_name_too_long_for_executors_is_a_mistake() -> None:
    driver = DriverPod(run_id=RunId("run_" + "x" * 60), directory="/", executor_heap=1, key="k")
    with pytest.raises(ValueError, match="too long"):
        confs(driver, executors(), GROUND)
