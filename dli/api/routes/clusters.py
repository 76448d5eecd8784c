"""``/clusters``: where runs are started, for those who run the service."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Response

from dli.api.deps import AllServices, Caller
from dli.api.envelope import moment
from dli.api.schemas.clusters import ClusterChanges, ClusterReply, ClustersPage
from dli.api.wire import json_response, page_json
from dli.identity.projects import names_of
from dli.services import Services
from jobs.clusters import ClusterView
from jobs.launchers.api import Capacity

router = APIRouter(prefix="/clusters", tags=["clusters"])


@router.get("", response_model=ClustersPage)
def list_clusters(services: AllServices, caller: Caller) -> Response:
    """All clusters, as the replica that answers sees them. Needs an administrator."""
    caller.require_administrator()
    return json_response(page_json(_clusters_json(services)))


@router.get("/{cluster}", response_model=ClusterReply)
def get_cluster(services: AllServices, caller: Caller, cluster: str) -> Response:
    """One of them. Needs an administrator."""
    caller.require_administrator()
    return json_response(_cluster_json(services, cluster))


@router.patch("/{cluster}", response_model=ClusterReply)
def change_cluster(
    services: AllServices, caller: Caller, cluster: str, body: ClusterChanges
) -> Response:
    """Drain it, or open it again; twice is the same as once. Needs an administrator.

    Nothing new starts in a drained cluster; what runs there goes on, and engines end when idle.
    """
    caller.require_administrator()
    if body.drained:
        services.clusters.drain(cluster, by=caller.user_id)
    else:
        services.clusters.undrain(cluster)
    services.jobs.room_changed()
    return json_response(_cluster_json(services, cluster))


def _cluster_json(services: Services, name: str) -> dict[str, Any]:
    services.clusters.check([name])
    return next(each for each in _clusters_json(services) if each["name"] == name)


def _clusters_json(services: Services) -> list[dict[str, Any]]:
    views = services.clusters.views()
    with services.database.read() as tx:
        names = names_of(tx, {view.drain.by for view in views if view.drain is not None})
    return [_told(view, names) for view in views]


def _told(view: ClusterView, names: Any) -> dict[str, Any]:
    drain = view.drain
    return {
        "name": view.name,
        "answers": view.answers,
        "drained": drain is not None,
        "drained_at": None if drain is None else moment(drain.at),
        "drained_by": None if drain is None else names.get(drain.by, drain.by),
        "capacity": None if view.capacity is None else _amounts(view.capacity),
        "used": _amounts(view.used),
        "runs": view.runs,
        "engines": view.engines,
    }


def _amounts(capacity: Capacity) -> dict[str, Any]:
    return {"cores": capacity.cpu_millis / 1000, "memory_bytes": capacity.memory_bytes}
