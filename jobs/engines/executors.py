"""A Spark driver's own pods: what the driver is told of them, and the pod that each is made from.

Pure. The driver runs in client mode inside a pod of ours and starts its executors by Spark's own
Kubernetes scheduler. All that is not for Spark to decide is in the pod template, which the driver
reads from a file; of that Spark sets names, image, memory, cores, owner and its own variables.
Nothing secret is in either: executors read it from keys of their driver's secret.

An executor has a finalizer, like every pod of ours, so that none ends without being counted.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from jobs.launchers.api import PodOptions, SecretKey
from jobs.launchers.pods import (
    CONTAINER,
    DRIVER,
    EXECUTOR,
    FINALIZER,
    INSTALLATION,
    MANAGED,
    ROLE,
    Manifest,
    from_secrets,
    labelled,
    merged,
    name_of,
    pulled_with,
)
from jobs.lifecycle.spec import Size
from storage.base.ids import RunId

#: A driver hears its executors at the first, blocks go by the second; Spark's usual ones.
DRIVER_PORT, BLOCKS_PORT = 7078, 7079
TEMPLATE = "executor.json"  #: among the files of the driver
AUTH_KEY = "spark.auth"  #: of the secret that driver and executors share, in the driver's secret

_AUTH = "_SPARK_AUTH_SECRET"  # where Spark looks first for its key
_MIB = 1 << 20
_USER = 185  # that the image knows
_IDLE_SECONDS = 60  # that an executor without work is kept
_LONGEST_PREFIX = 47  # of an executor's name, by Spark's documentation


@dataclass(frozen=True, slots=True, kw_only=True)
class ExecutorGround:
    """What all executors of an installation have in common."""

    installation: str
    image: str
    pull_policy: str = "IfNotPresent"
    pull_secrets: tuple[str, ...] = ()
    scratch_bytes: int = 10 << 30  #: of its disk that one may use; then it is evicted
    master: str = "k8s://https://kubernetes.default.svc"


@dataclass(frozen=True, slots=True, kw_only=True)
class Executors:
    """How many a driver may have, and how large each is; as many as it has work for."""

    least: int
    most: int
    size: Size
    request_millis: int | None = None  #: thousandths of cores set aside for each; None: all
    template: Mapping[str, Any] = field(default_factory=dict)  #: a pod, of the queue
    image: str | None = None  #: None: the installation's


@dataclass(frozen=True, slots=True, kw_only=True)
class DriverPod:
    """The driver that they are for. ``secrets`` are variables of its executors, kept in its own
    secret under the same names; ``key`` is what driver and executors know each other by."""

    run_id: RunId
    directory: str  #: where its files are
    executor_heap: int  #: bytes; the rest of an executor's memory is for what is beside the heap
    labels: Mapping[str, str] = field(default_factory=dict)
    secrets: Mapping[str, str] = field(default_factory=dict, repr=False)
    variables: Mapping[str, SecretKey] = field(default_factory=dict)  #: likewise, of other secrets
    service_account: str | None = None  #: of its executors
    key: str = field(repr=False)


def options(
    pod: PodOptions, driver: DriverPod, executors: Executors, ground: ExecutorGround
) -> PodOptions:
    """``pod``, as the driver of these executors needs it."""
    made = json.dumps(template(driver, executors, ground))
    known = base64.b64encode(driver.key.encode()).decode()  # as Spark reads it from a file
    return replace(
        pod,
        makes_pods=True,
        files={**pod.files, TEMPLATE: made, AUTH_KEY: driver.key},
        secrets={**pod.secrets, **driver.secrets, AUTH_KEY: known},
    )


def confs(driver: DriverPod, executors: Executors, ground: ExecutorGround) -> dict[str, str]:
    """What the driver is told. ``$(POD_IP)`` and the like are put in by its porter."""
    prefix = name_of(driver.run_id)
    if len(prefix) > _LONGEST_PREFIX:
        raise ValueError(f"{prefix} is too long to name executors")
    size = executors.size
    return {
        "spark.submit.deployMode": "client",
        "spark.driver.host": "$(POD_IP)",
        "spark.driver.bindAddress": "$(POD_IP)",
        "spark.driver.port": str(DRIVER_PORT),
        "spark.driver.blockManager.port": str(BLOCKS_PORT),
        "spark.blockManager.port": str(BLOCKS_PORT),  # else an executor takes any that is free
        "spark.executor.cores": str(size.cores),
        "spark.executor.memory": f"{driver.executor_heap // _MIB}m",
        "spark.executor.memoryOverhead": f"{(size.memory_bytes - driver.executor_heap) // _MIB}m",
        "spark.kubernetes.namespace": "$(POD_NAMESPACE)",
        "spark.kubernetes.container.image": executors.image or ground.image,
        "spark.kubernetes.container.image.pullPolicy": ground.pull_policy,
        "spark.kubernetes.driver.pod.name": "$(POD_NAME)",
        "spark.kubernetes.executor.podNamePrefix": prefix,
        "spark.kubernetes.executor.podTemplateFile": f"{driver.directory}/{TEMPLATE}",
        "spark.kubernetes.executor.podTemplateContainerName": CONTAINER,
        "spark.kubernetes.executor.request.cores": f"{_requested(executors)}m",
        "spark.kubernetes.executor.limit.cores": str(size.cores),
        "spark.kubernetes.executor.disableConfigMap": "true",  # what is in it nobody reads
        "spark.kubernetes.executor.eventProcessingInterval": "200ms",
        "spark.kubernetes.allocation.batch.delay": "200ms",
        "spark.kubernetes.allocation.batch.size": "50",
        "spark.scheduler.minRegisteredResourcesRatio": "0",  # it goes on while they start
        "spark.authenticate": "true",
        "spark.authenticate.secret.driver.file": f"{driver.directory}/{AUTH_KEY}",
        # An executor has the key in its environment, as a reference. Spark would write it there in
        # clear, if it did not believe in a file, which no executor looks for then.
        "spark.authenticate.secret.executor.file": f"/nonexistent/{AUTH_KEY}",
        "spark.decommission.enabled": "true",
        "spark.kubernetes.decommission.script": "/opt/decom.sh",
        "spark.storage.decommission.enabled": "true",
        "spark.storage.decommission.rddBlocks.enabled": "true",
        "spark.storage.decommission.shuffleBlocks.enabled": "true",
        **_counts(executors),
    }


def template(driver: DriverPod, executors: Executors, ground: ExecutorGround) -> Manifest:
    """The pod that each executor is made from: the queue's, merged with ours as a driver's is."""
    ours: Manifest = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "finalizers": [FINALIZER],
            "labels": {
                **labelled(driver.labels),
                MANAGED: "dli",
                INSTALLATION: ground.installation,
                ROLE: EXECUTOR,
                DRIVER: driver.run_id,
            },
        },
        "spec": {
            "restartPolicy": "Never",
            "automountServiceAccountToken": False,
            "enableServiceLinks": False,
            **pulled_with(ground.pull_secrets),
            "securityContext": {
                "runAsNonRoot": True,
                "runAsUser": _USER,
                "runAsGroup": _USER,
                "fsGroup": _USER,
                "seccompProfile": {"type": "RuntimeDefault"},
            },
            "containers": [_container(driver, ground)],
            "volumes": [{"name": "tmp", "emptyDir": {"sizeLimit": str(ground.scratch_bytes)}}],
        },
    }
    if driver.service_account is not None:
        ours["spec"]["serviceAccountName"] = driver.service_account
    return merged(executors.template, ours)


def _container(driver: DriverPod, ground: ExecutorGround) -> Manifest:
    disk = str(ground.scratch_bytes)
    least = str(min(ground.scratch_bytes, 64 * _MIB))
    kept = name_of(driver.run_id)
    own = {name: SecretKey(kept, name) for name in driver.secrets} | {
        _AUTH: SecretKey(kept, AUTH_KEY)
    }
    return {
        "name": CONTAINER,
        "env": from_secrets({**driver.variables, **own}),
        "resources": {
            "limits": {"ephemeral-storage": disk},
            "requests": {"ephemeral-storage": least},
        },
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
        "volumeMounts": [
            {"name": "tmp", "mountPath": "/tmp"},  # noqa: S108  the container's own
        ],
    }


def _requested(executors: Executors) -> int:
    whole = executors.size.cores * 1000
    return whole if executors.request_millis is None else min(executors.request_millis, whole)


def _counts(executors: Executors) -> dict[str, str]:
    """A fixed number, or as many as there is work for; the first is asked for at once."""
    if executors.least == executors.most:
        return {"spark.executor.instances": str(executors.most)}
    return {
        "spark.dynamicAllocation.enabled": "true",
        "spark.dynamicAllocation.executorIdleTimeout": f"{_IDLE_SECONDS}s",
        "spark.dynamicAllocation.initialExecutors": str(max(executors.least, 1)),
        "spark.dynamicAllocation.maxExecutors": str(executors.most),
        "spark.dynamicAllocation.minExecutors": str(executors.least),
        "spark.dynamicAllocation.shuffleTracking.enabled": "true",
    }
