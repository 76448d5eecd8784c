"""Taking everything of an installation out of its namespace, when nobody is left to see it off.

Of no use while the service runs: it would start its runs again.
"""

from __future__ import annotations

import threading
from datetime import timedelta
from typing import Any

from jobs.launchers.cluster import ApiError, Cluster
from jobs.launchers.pods import FINALIZER, INSTALLATION
from storage.base.clock import Clock
from storage.base.errors import UnavailableError

_KINDS = ("pods", "secrets")
_LOOK = timedelta(seconds=1)
_GRACE = 5  # seconds that a pod gets to end
_MISSING = 404


class NotClearedError(UnavailableError):
    """Something of the installation does not go away."""

    code = "runs_not_cleared"


def clear(
    cluster: Cluster, installation: str, *, settle: timedelta, limit: timedelta, clock: Clock
) -> int:
    """End and remove all pods and secrets of an installation; how many there were.

    Returns when none has been there for ``settle``: a replica on its way out may still make one.
    What pods own (executors, services, volumes) goes with them. Raises ``ApiError``, and
    ``NotClearedError`` after ``limit``.
    """
    never, seen = threading.Event(), set[str]()
    began = quiet_since = clock.monotonic()
    while True:
        found = [(kind, each) for kind in _KINDS for each in _list(cluster, kind, installation)]
        for kind, each in found:
            seen.add(each["metadata"]["uid"])
            _remove(cluster, kind, each["metadata"])
        now = clock.monotonic()
        if found:
            quiet_since = now
        elif now - quiet_since >= settle.total_seconds():
            return len(seen)
        if now - began > limit.total_seconds() + settle.total_seconds():
            names = ", ".join(f"{kind}/{each['metadata']['name']}" for kind, each in found[:5])
            raise NotClearedError(f"still there after {limit}: {names}")
        clock.wait(never, _LOOK)


def _list(cluster: Cluster, kind: str, installation: str) -> list[dict[str, Any]]:
    query = {"labelSelector": f"{INSTALLATION}={installation}"}
    found: list[dict[str, Any]] = cluster.request("GET", cluster.of(kind), query=query)["items"]
    return found


def _remove(cluster: Cluster, kind: str, metadata: dict[str, Any]) -> None:
    """Our finalizer first: without us nobody would take it away."""
    path = cluster.of(kind, metadata["name"])
    finalizers = metadata.get("finalizers", [])
    try:
        if FINALIZER in finalizers:
            kept = [each for each in finalizers if each != FINALIZER] or None
            cluster.request("PATCH", path, {"metadata": {"finalizers": kept}})
        if "deletionTimestamp" not in metadata:
            cluster.request("DELETE", path, {"gracePeriodSeconds": _GRACE})
    except ApiError as error:
        if error.status != _MISSING:
            raise
