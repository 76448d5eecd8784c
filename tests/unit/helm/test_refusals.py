"""What the chart refuses, before anything is sent to a cluster, and how it says so."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.charts import CHART, KUBERNETES, helm, needs_helm, rendering

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
