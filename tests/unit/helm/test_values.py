"""Values, their defaults and their schema are of one mind, and no setting is forgotten."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from dli.chart import CHARTS_OWN, secrets_schema, settings_schema, updated
from dli.settings.loading import Settings
from tests.support.charts import CHART, ROOT

SCHEMA = json.loads((CHART / "values.schema.json").read_text(encoding="utf-8"))
VALUES = yaml.safe_load((CHART / "values.yaml").read_text(encoding="utf-8"))
#: Objects whose names are somebody else's: settings of the service, labels, the API of Kubernetes.
OPEN = {"settings", "secret.values"}


def _said(values: dict[str, Any], path: str = "") -> Iterator[str]:
    """Paths of all values, down to where the schema is open."""
    for name, value in values.items():
        here = f"{path}.{name}" if path else name
        schema = _at(here)
        if schema is not None and "properties" in schema and here not in OPEN:
            yield from _said(value, here)
        else:
            yield here


def _allowed(schema: dict[str, Any], path: str) -> Iterator[str]:
    for name, inner in schema["properties"].items():
        here = f"{path}.{name}" if path else name
        inner = _resolved(inner)
        if here == "global":  # Helm's own
            continue
        if "properties" in inner and here not in OPEN:
            yield from _allowed(inner, here)
        else:
            yield here


def _at(path: str) -> dict[str, Any] | None:
    schema: dict[str, Any] | None = SCHEMA
    for name in path.split("."):
        schema = (schema or {}).get("properties", {}).get(name)
        schema = schema and _resolved(schema)
    return schema


def _resolved(schema: dict[str, Any]) -> dict[str, Any]:
    if "$ref" in schema:
        found: dict[str, Any] = SCHEMA["definitions"][schema["$ref"].rpartition("/")[2]]
        return found
    return schema


def test_the_schema_is_as_fresh_as_the_settings() -> None:
    text = (CHART / "values.schema.json").read_text(encoding="utf-8")
    assert text == updated(text), "run python -m dli.chart helm/dli/values.schema.json"


def test_every_setting_has_one_place() -> None:
    places = [
        set(settings_schema()["properties"]),
        set(secrets_schema()["properties"]),
        set(CHARTS_OWN),
    ]
    assert set.union(*places) == set(Settings.model_fields)
    assert sum(map(len, places)) == len(Settings.model_fields)


def test_every_value_has_a_default_and_a_place_in_the_schema() -> None:
    assert set(_said(VALUES)) == set(_allowed(SCHEMA, ""))


@pytest.mark.parametrize("path", sorted({path.rpartition(".")[0] for path in _allowed(SCHEMA, "")}))
def test_unknown_names_are_refused_everywhere(path: str) -> None:
    schema = SCHEMA
    for name in filter(None, path.split(".")):
        schema = _resolved(schema["properties"][name])
    assert schema["additionalProperties"] is False


def test_every_block_of_values_has_a_comment() -> None:
    text = (CHART / "values.yaml").read_text(encoding="utf-8")
    for name in VALUES:
        lines = text.splitlines()
        at = next(n for n, line in enumerate(lines) if line.startswith(f"{name}:"))
        below = [line for line in lines[at : at + 3] if "#" in line]
        assert lines[at - 1].startswith("#") or below, name


def test_the_chart_is_of_the_service_s_version() -> None:
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text(encoding="utf-8"))
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert chart["appVersion"] == project["version"]
