"""Where runs are started: on this machine, in a cluster, or in several."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import cast

from dli.clusters import every_cluster
from dli.settings.loading import InvalidSettingError, Settings
from dli.wiring.storage import Stored
from jobs.launchers.api import Launcher
from jobs.launchers.fleet import Fleet
from jobs.launchers.local import LocalLauncher
from jobs.launchers.pods import ClusterSettings, PodSettings
from jobs.lifecycle.runs import DEFAULT_CLUSTER
from storage.objects.api import LinkingStore
from storage.objects.folder import FolderStore


def open_launcher(settings: Settings, stored: Stored, *, replica: str) -> Launcher:
    """The launcher of the settings; of several clusters each has been asked whether it is there.

    Raises ``InvalidSettingError`` where pods lack what they need.
    """
    root = settings.folder / "engines" / "runs"
    if settings.launcher == "local":
        return LocalLauncher(root)
    opened = _pod_launchers(settings, stored, replica=replica)
    clusters = every_cluster(settings)
    if len(clusters) == 1:
        return opened(clusters[DEFAULT_CLUSTER], root)
    folders = {name: root.with_name(f"runs-{name}") for name in clusters} | {DEFAULT_CLUSTER: root}
    fleet = Fleet({name: opened(each, folders[name]) for name, each in clusters.items()})
    fleet.look()
    return fleet


def _pod_launchers(
    settings: Settings, stored: Stored, *, replica: str
) -> Callable[[ClusterSettings, Path], Launcher]:
    """What opens the launcher of a cluster, with its files of this machine in a folder."""
    if isinstance(stored.warehouse, FolderStore):
        raise InvalidSettingError(
            "pods need a warehouse that they reach",
            hint="set warehouse (DLI_WAREHOUSE) to s3://bucket/prefix, or launcher to local",
        )
    if settings.kubernetes_image is None:
        raise InvalidSettingError("the kubernetes launcher needs kubernetes_image")
    pods = PodSettings(
        installation=settings.kubernetes_installation,
        namespace=settings.kubernetes_namespace,
        image=settings.kubernetes_image,
        pull_policy=settings.kubernetes_pull_policy,
        pull_secrets=settings.kubernetes_pull_secrets,
        service_account=settings.kubernetes_service_account,
        scratch_bytes=settings.kubernetes_scratch,
    )
    store = cast(LinkingStore, stored.warehouse)  # as all are but folders
    # The cluster's client is large, and of no use to a service without a cluster.
    from jobs.launchers.cluster import Cluster  # noqa: PLC0415
    from jobs.launchers.pod_launcher import KubernetesLauncher  # noqa: PLC0415

    def opened(cluster: ClusterSettings, folder: Path) -> Launcher:
        return KubernetesLauncher(
            Cluster(cluster),
            replace(pods, namespace=cluster.namespace),
            root=folder,
            store=store,
            clock=stored.clock,
            owner=replica,
        )

    return opened
