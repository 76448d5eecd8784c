"""What the chart refuses, before anything is sent to a cluster, and how it says so."""

from __future__ import annotations

import re
from typing import Any

import pytest
import yaml

from tests.support.charts import (
    CHART,
    KUBERNETES,
    helm,
    needs_helm,
    of_kind,
    rendering,
    values_of,
)

pytestmark = needs_helm


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"imagee": {}}, "imagee"),
        ({"settings__result_tll": "1h"}, "result_tll"),
        ({"settings__result_ttl": "soon"}, "result_ttl"),
        ({"settings__workers": 0}, "workers"),
        ({"settings__admin_token": "x" * 30}, "admin_token"),
        ({"settings__port": 1}, "port"),
        ({"image__tag": "latest"}, "tag"),
        ({"api__replica": 3}, "replica"),
        ({"canary__weight": 101}, "weight"),
        ({"networkPolicy__dns": [{"port": 53}]}, "dns"),
        ({"secret__existing": "", "secret__values": {}}, "secret.values.database_url"),
        (
            {"secret__existing": "", "secret__values": {"database_url": "sqlite:////x"}},
            "database_url",
        ),
        ({"ingress__enabled": True}, "ingress.hosts"),
        ({"httpRoute__enabled": True}, "httpRoute.parentRefs"),
        (
            {
                "secret__existing": "",
                "secret__values": {"database_url": "postgres://x", "admin_token": "x" * 30},
                "metrics__serviceMonitor__enabled": True,
            },
            "secret.values.metrics_token",
        ),
        (
            {
                "canary__enabled": True,
                "canary__weight": 5,
                "istio__enabled": False,
                "httpRoute__enabled": False,
            },
            "canary.weight",
        ),
    ],
)
def test_what_cannot_be_is_refused(change: dict[str, Any], told: str) -> None:
    done = rendering("minimal", **change)
    assert done.returncode != 0
    assert told in done.stderr


def test_what_has_to_be_said_is_asked_for() -> None:
    bare = helm("template", "dli", str(CHART), "--kube-version", KUBERNETES)
    assert "settings.warehouse: where tables and results are kept" in bare.stderr
    place = ("--set", "settings.warehouse=s3://lake/dli")
    told = helm("template", "dli", str(CHART), "--kube-version", KUBERNETES, *place)
    assert "secret.existing, or secret.values.database_url" in told.stderr


@pytest.mark.parametrize("release", ["2data.dli", "a" * 39 + ".dli"])
def test_any_name_of_a_release_gives_names_that_a_cluster_takes(release: str) -> None:
    """Those of Services are labels that begin with a letter (RFC 1035)."""
    words = ("--kube-version", KUBERNETES, "-f", str(values_of("everything")))
    done = helm("template", release, str(CHART), "--namespace", "dli", *words)
    assert done.returncode == 0, done.stderr
    manifests = [each for each in yaml.safe_load_all(done.stdout) if each]
    for each in of_kind(manifests, "Service", "Deployment", "Job"):
        assert re.fullmatch(r"[a-z]([a-z0-9-]{0,61}[a-z0-9])?", each["metadata"]["name"])
