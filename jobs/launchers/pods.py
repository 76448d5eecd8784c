"""What is sent to Kubernetes for a run: a secret with its order, and its pod. Pure.

The pod's one container of ours is called ``run``; its main process is the porter (see
``jobs/launchers/pod``), which has the order from the secret. Nothing of the order is in the pod:
command lines and environments hold secrets, and a pod is read by many. A ``bare`` image, which has
nothing of ours, gets the porter from a container of our own image that runs before (see
``jobs/launchers/pod/runtime``).

Rules by which a queue's template and what we make are merged (``merged``): objects are merged key
by key and lists of things with names by their names, other lists are joined. Where both say
something we win, but for the security contexts, the service account and the name of the
scheduler, which are the operator's to choose.
"""

from __future__ import annotations

import base64
import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

from jobs.launchers.api import Capacity, PodOptions, RunSpec, SecretKey
from jobs.launchers.pod.brought import AUTHORITIES, command
from storage.base.ids import RunId

Manifest = dict[str, Any]  #: an object of the Kubernetes API, as JSON has it

WINDOW_PORT = 15099  #: where the porter answers to its service
GROUP = "dli.dev"  #: of our labels, annotations and finalizers
FINALIZER = f"{GROUP}/final"  #: on pods until their end is on record
MANAGED, INSTALLATION = "app.kubernetes.io/managed-by", f"{GROUP}/installation"
RUN, OWNER, ROLE = f"{GROUP}/run", f"{GROUP}/owner", f"{GROUP}/role"
DRIVER = f"{GROUP}/driver"  #: the run that made the pod
SCRATCH = f"{GROUP}/scratch"
LEASE = f"{GROUP}/lease"  #: seconds after which the run ends unless it is renewed
UNLEASED = timedelta(seconds=60)  #: an engine whose service is silent for so long ends
CONTAINER = "run"
BRINGER = "porter"  #: the container that brings the porter to a bare image
ENGINE, JOB, EXECUTOR = "engine", "job", "executor"  #: roles

_ORDER = "/etc/dli/order"
_BROUGHT = "/.dli"  # where a bare image has the porter
_USER = 185  #: that the image knows
_OVERHEAD = 48 << 20  #: bytes of memory of the porter, beside those of the run
_MIB = 1 << 20
#: A pod that is over its time by so much did not hear its porter: the kubelet ends it.
_LATE = timedelta(seconds=60)
_LONGEST = 63  # characters of a label's value, which begins and ends with one that is no sign
_EDGES = re.compile(r"^[^a-zA-Z0-9]+|[^a-zA-Z0-9]+$")


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterSettings:
    """How a cluster is reached. ``kubeconfig`` None: as the pod that we are in does."""

    kubeconfig: Path | None = None
    context: str | None = None
    namespace: str = "default"


@dataclass(frozen=True, slots=True, kw_only=True)
class PodSettings:
    """What all pods of an installation have in common."""

    installation: str  #: tells our pods from those of another service in the namespace
    namespace: str
    image: str
    pull_policy: str = "IfNotPresent"
    pull_secrets: tuple[str, ...] = ()  #: with which nodes pull it
    service_account: str | None = None  #: of runs that make pods themselves
    scratch_bytes: int = 10 << 30  #: of its disk that a run may use; then it is evicted
    porter: tuple[str, ...] = ("/opt/dli/bin/python", "-I", "-m", "jobs.launchers.pod.porter")
    bringer: tuple[str, ...] = ("/opt/dli/bin/python", "-I", "-m", "jobs.launchers.pod.runtime")
    owner_reference: Mapping[str, Any] | None = None  #: what the runs' objects go with
    labels: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What the porter needs beside the run's spec; ``age`` is how long its lease counts already.

    ``made`` is the moment of the launch: seconds of Unix time, since the pod may be far from it in
    time as well, and must not begin when its lease is over.
    """

    token: str = field(repr=False)
    lease: timedelta
    age: float = 0.0  #: seconds
    made: float | None = None
    inputs: str | None = field(default=None, repr=False)  #: a signed link
    outputs: str | None = field(default=None, repr=False)
    log_bytes: int = 1 << 20


def name_of(run_id: RunId) -> str:
    """The name of the run's pod and of its secret: a DNS label that no other run has."""
    return run_id.lower().replace("_", "-")


def secret(spec: RunSpec, order: Order, settings: PodSettings, *, owner: str) -> Manifest:
    """The secret that holds the run's order, for its pod only."""
    options = spec.pod or PodOptions()
    data = {"order.json": json.dumps(_order(spec, order)), **options.secrets}
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": _metadata(spec, settings, owner=owner),
        "type": f"{GROUP}/order",
        "immutable": True,
        "data": {key: base64.b64encode(text.encode()).decode() for key, text in data.items()},
    }


def token_in(found: Manifest) -> str:
    """The window's token, as the run's secret has it."""
    order = json.loads(base64.b64decode(found["data"]["order.json"]))
    token: str = order["window"]["token"]
    return token


def pod(spec: RunSpec, settings: PodSettings, *, owner: str) -> Manifest:
    """The pod of a run. ``owner`` is the replica that launches it."""
    options = spec.pod or PodOptions()
    ours: Manifest = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            **_metadata(spec, settings, owner=owner),
            "annotations": {LEASE: f"{(spec.lease or UNLEASED).total_seconds():g}"},
            "finalizers": [FINALIZER],
        },
        "spec": {
            "restartPolicy": "Never",
            "serviceAccountName": _account(options, settings),
            "automountServiceAccountToken": options.makes_pods,
            "enableServiceLinks": False,
            **pulled_with(settings.pull_secrets),
            "terminationGracePeriodSeconds": math.ceil(spec.grace.total_seconds()) + 5,
            "securityContext": {
                "runAsNonRoot": True,
                "runAsUser": _USER,
                "runAsGroup": _USER,
                "fsGroup": _USER,
                "seccompProfile": {"type": "RuntimeDefault"},
            },
            "containers": [_container(spec, options, settings)],
            "volumes": [
                {"name": "home", "emptyDir": {"sizeLimit": str(settings.scratch_bytes)}},
                {"name": "tmp", "emptyDir": {"sizeLimit": str(settings.scratch_bytes)}},
                {
                    "name": "order",
                    "secret": {
                        "secretName": name_of(spec.run_id),
                        "defaultMode": 0o440,
                        "items": [{"key": "order.json", "path": "order.json"}],
                    },
                },
            ],
        },
    }
    if options.bare:
        ours["spec"]["initContainers"] = [_bringer(spec, options, settings)]
        ours["spec"]["volumes"].append({"name": BRINGER, "emptyDir": {}})
    if spec.timeout is not None:
        left = spec.timeout + spec.grace + _LATE
        ours["spec"]["activeDeadlineSeconds"] = math.ceil(left.total_seconds())
    return merged(options.template, ours)


def merged(template: Mapping[str, Any], ours: Manifest) -> Manifest:
    """``ours`` with what the template adds, by the rules that the module tells."""
    result = _merged(template, ours, ())
    assert isinstance(result, dict)
    return result


def _container(spec: RunSpec, options: PodOptions, settings: PodSettings) -> Manifest:
    home = str(spec.directory.parent)
    made: Manifest = {
        "name": CONTAINER,
        "image": options.image or settings.image,
        "imagePullPolicy": settings.pull_policy,
        "command": [*settings.porter, home, f"{_ORDER}/order.json"],
        "env": [
            _field("POD_IP", "status.podIP"),
            _field("POD_NAME", "metadata.name"),
            _field("POD_NAMESPACE", "metadata.namespace"),
            _field("NODE_NAME", "spec.nodeName"),
            *from_secrets(options.variables),
        ],
        "ports": _ports(spec),
        "resources": _resources(spec, options, settings),
        "securityContext": _unprivileged(),
        "terminationMessagePolicy": "File",
        "volumeMounts": [
            {"name": "home", "mountPath": home},
            {"name": "tmp", "mountPath": "/tmp"},  # noqa: S108  the container's own
            {"name": "order", "mountPath": _ORDER, "readOnly": True},
        ],
    }  # fmt: skip
    if options.bare:
        del made["imagePullPolicy"]  # by its tag, as for every image that is not ours
        made["command"] = [*command(_BROUGHT), home, f"{_ORDER}/order.json"]
        made["workingDir"] = home  # its own may be one that this user may not enter
        made["volumeMounts"].append({"name": BRINGER, "mountPath": _BROUGHT, "readOnly": True})
    return made


def _bringer(spec: RunSpec, options: PodOptions, settings: PodSettings) -> Manifest:
    """It asks for as much as the run, which comes after it, so that the pod needs no more."""
    return {
        "name": BRINGER,
        "image": settings.image,
        "imagePullPolicy": settings.pull_policy,
        "command": [*settings.bringer, _BROUGHT],
        "resources": _resources(spec, options, settings),
        "securityContext": _unprivileged(),
        "volumeMounts": [{"name": BRINGER, "mountPath": _BROUGHT}],
    }


def _unprivileged() -> Manifest:
    return {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }


def _ports(spec: RunSpec) -> list[Manifest]:
    window = {"name": "window", "containerPort": WINDOW_PORT}
    return [window] if spec.port is None else [window, {"name": "run", "containerPort": spec.port}]


def _resources(spec: RunSpec, options: PodOptions, settings: PodSettings) -> Manifest:
    """Limits are what the run may use; requests what is set aside for it, if that is less."""
    limits: dict[str, str] = {"ephemeral-storage": str(settings.scratch_bytes)}
    if spec.limits.cores is not None:
        limits["cpu"] = str(spec.limits.cores)
    if spec.memory_bytes is not None:
        limits["memory"] = _mib(spec.memory_bytes + _OVERHEAD)
    requests = {**limits, "ephemeral-storage": str(min(settings.scratch_bytes, 64 * _MIB))}
    if options.reserves is not None:
        reserves = _within(options.reserves, spec)
        requests |= {
            "cpu": f"{reserves.cpu_millis}m",
            "memory": _mib(reserves.memory_bytes + _OVERHEAD),
        }
    return {"limits": limits, "requests": requests}


def _within(reserves: Capacity, spec: RunSpec) -> Capacity:
    """A request above its limit is refused."""
    cpu, memory = reserves.cpu_millis, reserves.memory_bytes
    if spec.limits.cores is not None:
        cpu = min(cpu, spec.limits.cores * 1000)
    if spec.memory_bytes is not None:
        memory = min(memory, spec.memory_bytes)
    return Capacity(cpu_millis=cpu, memory_bytes=memory)


def _mib(size: int) -> str:
    return f"{-(-size // _MIB)}Mi"


def from_secrets(variables: Mapping[str, SecretKey]) -> list[Manifest]:
    """Variables of a container, as references."""
    return [
        {"name": name, "valueFrom": {"secretKeyRef": {"name": value.secret, "key": value.key}}}
        for name, value in sorted(variables.items())
    ]


def pulled_with(secrets: tuple[str, ...]) -> Manifest:
    """What a pod's spec says of the secrets with which its images are pulled."""
    return {"imagePullSecrets": [{"name": name} for name in secrets]} if secrets else {}


def labelled(labels: Mapping[str, str]) -> dict[str, str]:
    """Labels of ours. A value that a label cannot have, as a queue's name may, is cut to fit."""
    return {f"{GROUP}/{key}": _EDGES.sub("", value[:_LONGEST]) for key, value in labels.items()}


def _account(options: PodOptions, settings: PodSettings) -> str:
    if options.service_account is not None:
        return options.service_account
    if options.makes_pods and settings.service_account is not None:
        return settings.service_account
    return "default"


def _field(name: str, path: str) -> Manifest:
    return {"name": name, "valueFrom": {"fieldRef": {"fieldPath": path}}}


def _metadata(spec: RunSpec, settings: PodSettings, *, owner: str) -> Manifest:
    metadata: Manifest = {
        "name": name_of(spec.run_id),
        "namespace": settings.namespace,
        "labels": {
            **labelled(spec.labels),
            **settings.labels,
            MANAGED: "dli",
            INSTALLATION: settings.installation,
            RUN: spec.run_id,
            OWNER: owner,
            ROLE: ENGINE if spec.lease is None else JOB,
        },
    }
    if settings.owner_reference is not None:
        metadata["ownerReferences"] = [dict(settings.owner_reference)]
    return metadata


def _order(spec: RunSpec, order: Order) -> dict[str, Any]:
    """As a warden takes it, and what only the porter knows."""
    options = spec.pod or PodOptions()
    bare = options.bare
    return {
        "command": list(spec.command),
        "environment": dict(spec.environment),
        "directory": str(spec.directory),
        "workdir": str(spec.workdir or spec.directory),
        "stdin": None if spec.stdin is None else str(spec.stdin),
        "stdout": None if spec.stdout is None else str(spec.stdout),
        "merged": spec.merged,
        "log_bytes": order.log_bytes,
        "memory_bytes": spec.memory_bytes,
        "max_output_bytes": spec.max_output_bytes,
        "cpus": None,  # its limit is the container's
        "nice": spec.limits.nice,
        "open_files": spec.limits.open_files,
        "wrapper": None if spec.wrapper is None else str(spec.wrapper),
        "grace": spec.grace.total_seconds(),
        "timeout": spec.timeout.total_seconds() if spec.timeout else None,
        "lease": order.lease.total_seconds(),
        "age": order.age,
        "made": order.made,
        "echo": True,
        "contained": True,
        "keeps": [*spec.keeps, *_stdout(spec)],
        "files": dict(options.files),
        "inherits": bare,
        "passes": [*sorted(options.variables), *options.passes],
        "authorities": f"{_BROUGHT}/{AUTHORITIES}" if bare else None,
        "inputs": order.inputs,
        "outputs": order.outputs,
        "window": {"port": WINDOW_PORT, "token": order.token},
    }


def _stdout(spec: RunSpec) -> list[str]:
    """The file of the standard output, which always is wanted."""
    inside = spec.stdout is not None and spec.stdout.is_relative_to(spec.directory)
    return [str(spec.stdout.relative_to(spec.directory))] if spec.stdout and inside else []


#: Where the template wins.
_OPERATORS = frozenset({"securityContext", "serviceAccountName", "schedulerName"})
_OURS = frozenset({"command", "args"})  # lists that make sense as a whole only


def _merged(theirs: Any, ours: Any, path: tuple[str, ...]) -> Any:
    if path and path[-1] in _OURS:
        return ours
    if path and path[-1] in _OPERATORS:
        if isinstance(theirs, Mapping) and isinstance(ours, Mapping):
            return {**ours, **theirs}
        return theirs
    if isinstance(theirs, Mapping) and isinstance(ours, Mapping):
        both = {key: _merged(theirs[key], ours[key], (*path, key)) for key in theirs if key in ours}
        return {**theirs, **ours, **both}
    if isinstance(theirs, list) and isinstance(ours, list):
        return _joined(theirs, ours, path)
    return ours


def _joined(theirs: list[Any], ours: list[Any], path: tuple[str, ...]) -> list[Any]:
    if not all(isinstance(each, Mapping) and "name" in each for each in (*theirs, *ours)):
        return [*ours, *(each for each in theirs if each not in ours)]
    named = {each["name"]: each for each in theirs}
    first = [
        _merged(named[each["name"]], each, path) if each["name"] in named else each for each in ours
    ]
    known = {each["name"] for each in ours}
    return [*first, *(each for each in theirs if each["name"] not in known)]
