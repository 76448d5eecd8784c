"""What a queue says of pods: the executors of its Spark, and what is merged into their manifests.

Of no meaning where engines and batches run as processes of the service's machine.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from storage.base.errors import InvalidInputError

_MOST_EXECUTORS = 1000
_MOST_CORES = 256
_LEAST_MEMORY, _MOST_MEMORY = 1536 << 20, 1 << 40  # bytes; Spark itself needs most of the least
_MOST_WEIGHT = 1000
_LONGEST = 64 << 10  # characters of a template as JSON
_PARTS = frozenset({"apiVersion", "kind", "metadata", "spec"})
_METADATA = frozenset({"labels", "annotations"})


class QueuePodsInvalidError(InvalidInputError):
    """What a queue says of pods cannot be; ``field`` in the details names it."""

    code = "queue_pods_invalid"


@dataclass(frozen=True, slots=True, kw_only=True)
class QueuePods:
    """None means: as the service's settings say. A template is a pod in Kubernetes' own form."""

    min_executors: int = 1  #: that its Spark engine keeps while it lives
    max_executors: int | None = None  #: 0: the driver computes by itself
    executor_cores: int | None = None
    executor_memory: int | None = None  #: bytes
    image: str | None = None
    template: Mapping[str, Any] = field(default_factory=dict)  #: of engines, drivers and tasks
    executor_template: Mapping[str, Any] = field(default_factory=dict)
    clusters: Mapping[str, int] = field(default_factory=dict)  #: weights; none: all, as equals

    @property
    def reaches_out(self) -> bool:
        """Whether it says what only an administrator of the service may: what is in the pods, and
        where they are."""
        return bool(self.image or self.template or self.executor_template or self.clusters)

    def weight_of(self, cluster: str) -> int:
        """Of the queue's work in this one; 0: none of it goes there."""
        return self.clusters.get(cluster, 0) if self.clusters else 1

    def as_json(self) -> dict[str, Any]:
        """By the names of the fields, as ``pods_of`` reads it."""
        told = {
            "min_executors": self.min_executors,
            "max_executors": self.max_executors,
            "executor_cores": self.executor_cores,
            "executor_memory": self.executor_memory,
            "image": self.image,
            "template": dict(self.template),
            "executor_template": dict(self.executor_template),
        }
        # Left out where it says nothing: a release before this one does not know it.
        return {**told, "clusters": dict(self.clusters)} if self.clusters else told


DEFAULT_PODS = QueuePods()


def pods_of(stored: Mapping[str, Any] | None) -> QueuePods:
    """The value of what ``as_json`` gave; the defaults for None."""
    return QueuePods() if stored is None else QueuePods(**stored)


def checked_pods(pods: QueuePods) -> QueuePods:
    """``pods`` itself. Raises ``QueuePodsInvalidError``."""
    most = _MOST_EXECUTORS if pods.max_executors is None else pods.max_executors
    _within("max_executors", most, 0, _MOST_EXECUTORS)
    if most:
        _within("min_executors", pods.min_executors, 0, most)
    if pods.executor_cores is not None:
        _within("executor_cores", pods.executor_cores, 1, _MOST_CORES)
    if pods.executor_memory is not None:
        _within("executor_memory", pods.executor_memory, _LEAST_MEMORY, _MOST_MEMORY)
    for name, weight in pods.clusters.items():
        _within(f"clusters.{name}", weight, 1, _MOST_WEIGHT)
    _check_template("template", pods.template)
    _check_template("executor_template", pods.executor_template)
    return pods


def _within(name: str, value: int, least: int, most: int) -> None:
    if not least <= value <= most:
        raise QueuePodsInvalidError(
            f"{name} is {value}, must be from {least} to {most}", field=f"pods.{name}"
        )


def _check_template(name: str, template: Mapping[str, Any]) -> None:
    """What can be seen without a cluster; the rest its API server says when a pod is made."""
    where = f"pods.{name}"
    if len(json.dumps(template)) > _LONGEST:
        raise QueuePodsInvalidError(f"{name} is longer than 64 KiB", field=where)
    if unknown := sorted(template.keys() - _PARTS):
        raise QueuePodsInvalidError(
            f"{name} has {unknown[0]!r}, which no pod has",
            hint="write metadata and spec",
            field=where,
        )
    metadata = template.get("metadata", {})
    if not isinstance(metadata, Mapping) or not isinstance(template.get("spec", {}), Mapping):
        raise QueuePodsInvalidError(f"{name}: metadata and spec are objects", field=where)
    if unknown := sorted(metadata.keys() - _METADATA):
        raise QueuePodsInvalidError(
            f"{name}: metadata.{unknown[0]} is the service's to say",
            hint="labels and annotations may be given",
            field=where,
        )
