"""How much of a cluster our runs may use: its nodes, or the namespace's quota if that is less."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterable
from decimal import Decimal

from kubernetes.utils import parse_quantity

from jobs.launchers.api import UNBOUNDED, Capacity
from jobs.launchers.cluster import ApiError, Cluster
from jobs.launchers.pods import Manifest

log = logging.getLogger(__name__)

_KEPT = 30.0  # seconds
_PATIENCE = 5.0  # seconds for an answer: who looks at several clusters waits for it


class Room:
    """Asks twice a minute at most. Thread-safe."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._lock = threading.Lock()  # guards both below
        self._known = UNBOUNDED
        self._asked: float | None = None

    def capacity(self) -> Capacity:
        """As it was seen last, where the cluster does not answer now."""
        with self._lock:
            now = time.monotonic()
            if self._asked is None or now - self._asked > _KEPT:
                self._asked = now
                self._known = self._look()
            return self._known

    def _look(self) -> Capacity:
        quotas = self._items(self._cluster.of("resourcequotas"))
        nodes = self._items("/api/v1/nodes")
        if quotas is None and nodes is None:
            return self._known
        return room(nodes or (), quotas or ())

    def _items(self, path: str) -> list[Manifest] | None:
        """None where they may not be seen, or nobody answers."""
        try:
            found: list[Manifest] = self._cluster.request("GET", path, timeout=_PATIENCE)["items"]
        except ApiError as error:
            log.debug("room not seen", extra={"path": path, "reason": error.message})
            return None
        return found


def room(nodes: Iterable[Manifest], quotas: Iterable[Manifest]) -> Capacity:
    """The sum of what schedulable nodes can allocate, within every quota. Pure."""
    cpu, memory = [], []
    ready = [node for node in nodes if _takes_pods(node)]
    if ready:
        cpu.append(sum(_of(node["status"]["allocatable"], "cpu") for node in ready))
        memory.append(sum(_of(node["status"]["allocatable"], "memory") for node in ready))
    for quota in quotas:
        hard = quota.get("spec", {}).get("hard", {})
        cpu.extend(_of(hard, name) for name in ("cpu", "requests.cpu") if name in hard)
        memory.extend(_of(hard, name) for name in ("memory", "requests.memory") if name in hard)
    return Capacity(
        cpu_millis=int(min(cpu) * 1000) if cpu else UNBOUNDED.cpu_millis,
        memory_bytes=int(min(memory)) if memory else UNBOUNDED.memory_bytes,
    )


def _takes_pods(node: Manifest) -> bool:
    if node.get("spec", {}).get("unschedulable"):
        return False
    conditions = node.get("status", {}).get("conditions", ())
    return any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)


def _of(quantities: Manifest, name: str) -> Decimal:
    return Decimal(parse_quantity(quantities.get(name, "0")))
