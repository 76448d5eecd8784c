"""The dashboard asks for metrics that there are."""

from __future__ import annotations

import json
import re
from pathlib import Path

import promql_parser
import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.support.charts import CHART
from tests.support.fleets import make_fleet
from tests.support.service import in_process

DASHBOARD = json.loads((CHART / "dashboards" / "dli.json").read_text(encoding="utf-8"))
#: What Kubernetes and the ServiceMonitor add to each sample.
ADDED = {"namespace", "pod", "app_kubernetes_io_component", "dli_dev_track"}
NO_LABELS = {"le", "component", "track"}  # of histograms; made by label_replace


def expressions() -> list[str]:
    return [target["expr"] for panel in DASHBOARD["panels"] for target in panel["targets"]]


@pytest.fixture(scope="module")
def known(tmp_path_factory: pytest.TempPathFactory) -> dict[str, set[str]]:
    """Every sample that a service has told, with its labels."""
    home: Path = tmp_path_factory.mktemp("home")
    with in_process(home) as service, service.client() as client:
        client.post(
            "/statements", json={"sql": "SELECT 1 AS one", "wait": "60s"}
        ).raise_for_status()
        assert service.services is not None
        service.services.metrics.loop_failures.labels("any")
        fleet, _ = make_fleet(home / "sites", eu=4)
        clusters = service.services.clusters
        alone, clusters.launcher = clusters.launcher, fleet
        text = service.services.metrics.exposition()[0].decode()
        clusters.launcher = alone
        fleet.close()
    found: dict[str, set[str]] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            found.setdefault(sample.name, set()).update(sample.labels)
    return found


@pytest.mark.parametrize("expression", expressions())
def test_panels_ask_for_what_is_told(expression: str, known: dict[str, set[str]]) -> None:
    names = set(re.findall(r"\b(?:dli|process)_\w+(?=\{)", expression))
    assert names
    assert names <= known.keys()
    labels = set(re.findall(r"(\w+)=~?\"", expression))
    for by in re.findall(r"by \(([^)]*)\)", expression):
        labels |= {word.strip() for word in by.split(",")}
    there = set.union(*(known[name] for name in names)) | ADDED | NO_LABELS
    assert labels <= there


@pytest.mark.parametrize("expression", expressions())
def test_panels_are_expressions_of_prometheus(expression: str) -> None:
    asked = expression.replace("$__rate_interval", "1m").replace("$namespace", "dli")
    promql_parser.parse(asked)
    with pytest.raises(ValueError, match="parenthes"):
        promql_parser.parse(asked + ")")


def test_every_metric_of_ours_is_shown(known: dict[str, set[str]]) -> None:
    shown = " ".join(expressions())
    ours = {name for name in known if name.startswith("dli_") and not name.endswith("_created")}
    families = {re.sub(r"_(sum|count|bucket|total)$", "", name) for name in ours}
    assert {family for family in families if family not in shown} == set()
