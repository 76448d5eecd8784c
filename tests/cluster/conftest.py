"""The cluster of this test run, a namespace for each test, and an object store that pods reach."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import cluster as clusters
from tests.support.cluster import Cluster, Namespace
from tests.support.servers import S3Server, seaweedfs

HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """All tests of this folder need the cluster."""
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.cluster)
            if item.get_closest_marker("timeout") is None:
                item.add_marker(pytest.mark.timeout(1800))  # the first one may build all


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    """A given cluster, or ours: what the tests started they end, unless they are told not to."""
    given = clusters.given()
    if given is not None:
        yield given
        return
    reason = clusters.why_not()
    if reason is not None:
        pytest.skip(f"this machine runs no cluster: {reason}")
    found = clusters.running()
    yield clusters.up()
    if not found and not os.environ.get("DLI_CLUSTER_KEEP"):
        clusters.down()


@pytest.fixture
def namespace(cluster: Cluster, request: pytest.FixtureRequest) -> Iterator[Namespace]:
    """An empty namespace at the restricted level of pod security, of this test alone."""
    words = re.sub(r"[^a-z0-9]+", "-", request.node.name.lower()).strip("-")[:40].strip("-")
    with cluster.namespace(f"{words}-{os.urandom(3).hex()}") as made:
        yield made


@pytest.fixture(scope="session")
def pod_s3(cluster: Cluster) -> Iterator[S3Server]:
    """The S3 service of this test process, at an address that pods reach too."""
    if cluster.host is None:
        pytest.skip("DLI_TEST_POD_HOST does not say where pods reach this machine")
    with seaweedfs(cluster.host) as server:
        yield server
