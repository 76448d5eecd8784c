"""Launchers of pods for tests: in a namespace of the test cluster, with a store that pods reach."""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from jobs.launchers.cluster import ApiError
from jobs.launchers.cluster import Cluster as Api
from jobs.launchers.pod_launcher import KubernetesLauncher
from jobs.launchers.pods import INSTALLATION, ClusterSettings, PodSettings
from storage.base.clock import SystemClock
from storage.objects.s3 import S3Store
from tests.support.cluster import Cluster, Namespace
from tests.support.servers import S3Server


@contextmanager
def pod_launcher(
    namespace: Namespace,
    s3: S3Server | S3Store,
    root: Path,
    *,
    owner: str = "replica_test",
    installation: str | None = None,
    through: Cluster | None = None,
    **settings: Any,
) -> Iterator[KubernetesLauncher]:
    """A launcher with an installation of its own; nothing of it is left after the block.

    ``s3`` is a service, where it gets a bucket of its own, or a store. ``through`` is the same
    cluster as seen by somebody else than its administrator.
    """
    cluster = through or namespace.cluster
    installation = installation or f"test-{secrets.token_hex(4)}"
    api = Api(ClusterSettings(kubeconfig=cluster.kubeconfig, namespace=namespace.name))
    made = KubernetesLauncher(
        api,
        PodSettings(
            installation=installation,
            namespace=namespace.name,
            image=cluster.image,
            **{"pull_policy": "Never", **settings},
        ),
        root=root,
        store=s3 if isinstance(s3, S3Store) else S3Store(s3.bucket(), "", s3.settings),
        clock=SystemClock(),
        owner=owner,
    )
    try:
        yield made
    finally:
        with contextlib.suppress(ApiError):  # of one who may not
            _clear(api, installation)
        made.close()


def _clear(api: Api, installation: str) -> None:
    """End and remove all at once, without the patience of ``jobs.launchers.clearing``."""
    query = {"labelSelector": f"{INSTALLATION}={installation}"}
    for kind in ("pods", "secrets"):
        for each in api.request("GET", api.of(kind), query=query)["items"]:
            path = api.of(kind, each["metadata"]["name"])
            for method, body in (
                ("DELETE", {"gracePeriodSeconds": 0}),
                ("PATCH", {"metadata": {"finalizers": None}}),
            ):
                try:
                    api.request(method, path, body)
                except ApiError as error:
                    if error.status != 404:
                        raise
