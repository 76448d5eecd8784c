"""What the Helm chart's schema says of settings.

Made by ``python -m dli.chart helm/dli/values.schema.json``.

Each setting is in one of three places of the chart's values: under its own name in ``settings``, in
``secret.values`` if it is secret, or it is the chart's to say (``CHARTS_OWN``).
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from enum import StrEnum
from pathlib import Path
from types import NoneType
from typing import Any, Literal, get_args, get_origin

from pydantic import SecretStr
from pydantic.fields import FieldInfo

from dli.settings.loading import GROUPS
from dli.settings.values import Paths, Size, Span, Words
from storage.base.quantities import SIZE_PATTERN, SPAN_PATTERN

#: Settings that follow from what the chart makes, and the value that they follow from.
CHARTS_OWN = {
    "home": "a volume of the pod",
    "host": "the pod's own address",
    "port": "service.port leads to it",
    "worker_port": "probes and metrics lead to it",
    "grace": "drain.graceSeconds",
    "migrate": "migrate.enabled",
    "prices": "prices",
    "launcher": "runs.asPods",
    "kubernetes_image": "image, or that of the canary",
    "kubernetes_pull_policy": "image.pullPolicy",
    "kubernetes_pull_secrets": "image.pullSecrets",
    "kubernetes_namespace": "runs.namespace",
    "kubernetes_installation": "the name of the release",
    "kubernetes_service_account": "the account that the chart makes for drivers",
    "kubernetes_kubeconfig": "the account of the pod",
    "kubernetes_context": "the account of the pod",
    "kubernetes_clusters": "runs.clusters",
}
Schema = dict[str, Any]


def settings_schema() -> Schema:
    """The JSON schema of ``settings``."""
    return _closed(
        {
            name: {**_schema_of(field), "description": field.description}
            for name, field in _fields()
            if name not in CHARTS_OWN and not _secret(field)
        }
    )


def secrets_schema() -> Schema:
    """The JSON schema of ``secret.values``."""
    found: dict[str, Schema] = {}
    for name, field in _fields():
        if _secret(field):
            least = [each.min_length for each in field.metadata if hasattr(each, "min_length")]
            schema = {"type": "string", "minLength": (least or [1])[0]}
            found[name] = {**schema, "description": field.description}
    found["database_url"]["pattern"] = "^postgres(ql)?://"  # SQLite is one pod's alone
    return _closed(found)


def write_schema(path: Path) -> None:
    """Bring the settings in the chart's schema up to date; the rest of it is written by hand."""
    path.write_text(updated(path.read_text(encoding="utf-8")), encoding="utf-8")


def updated(text: str) -> str:
    """The schema ``text`` with what this module says of settings."""
    schema = json.loads(text)
    schema["properties"]["settings"] = settings_schema()
    schema["properties"]["secret"]["properties"]["values"] = secrets_schema()
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"


def _fields() -> Iterator[tuple[str, FieldInfo]]:
    for group in GROUPS:
        yield from group.model_fields.items()


def _closed(properties: Schema) -> Schema:
    return {"type": "object", "additionalProperties": False, "properties": properties}


def _secret(field: FieldInfo) -> bool:
    return SecretStr in (field.annotation, *get_args(field.annotation))


def _schema_of(field: FieldInfo) -> Schema:
    """Numbers with a unit are strings: YAML's own numbers are no exact integers to Helm."""
    reads = [each for each in field.metadata if hasattr(each, "func")]
    if any(each in get_args(Size) for each in reads):
        return {"type": "string", "pattern": SIZE_PATTERN}
    if any(each in get_args(Span) for each in reads):
        return {"type": "string", "pattern": SPAN_PATTERN}
    if any(each in (*get_args(Paths), *get_args(Words)) for each in reads):
        return {"type": "array", "items": {"type": "string", "minLength": 1}}
    kinds = [each for each in (get_args(field.annotation) or ()) if each is not NoneType]
    if get_origin(field.annotation) is Literal:
        return {"type": "string", "enum": kinds}
    kind: Any = kinds[0] if kinds else field.annotation
    if issubclass(kind, StrEnum):
        return {"type": "string", "enum": [each.value for each in kind]}
    if kind is bool:
        return {"type": "boolean"}
    if kind is int:
        return {"type": "integer", **_bounds(field)}
    if issubclass(kind, str | Path):
        return {"type": "string", "minLength": 1}
    raise TypeError(f"no schema for a setting of {kind}: say here how its value is written")


def _bounds(field: FieldInfo) -> Schema:
    names = {"ge": "minimum", "le": "maximum"}
    return {
        names[name]: getattr(each, name)
        for each in field.metadata
        for name in names
        if hasattr(each, name)
    }


def main(arguments: Sequence[str]) -> None:
    """Bring the file that is named up to date."""
    write_schema(Path(arguments[0]))


if __name__ == "__main__":
    main(sys.argv[1:])
