"""What the chart puts into a pod's environment is what the service reads, setting by setting."""

from __future__ import annotations

import re
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from dli.chart import settings_schema
from dli.clusters import read_clusters
from dli.settings.loading import Settings, load
from jobs.launchers.pods import ClusterSettings
from tests.support.charts import (
    Manifest,
    named,
    needs_helm,
    of_kind,
    pod_templates,
    render,
    title,
)

pytestmark = needs_helm


def loaded(manifests: list[Manifest], monkeypatch: pytest.MonkeyPatch) -> Settings:
    """The settings of a pod with this ConfigMap and Secret."""
    for name in Settings.model_fields:
        monkeypatch.delenv(f"DLI_{name.upper()}", raising=False)
    environment = named(manifests, "ConfigMap", "dli")["data"]
    environment |= named(manifests, "Secret", "dli")["stringData"]
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    return load()


def test_everything_is_read_as_it_was_written(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = loaded(render("everything"), monkeypatch)
    assert settings.warehouse == "s3://lake/dli"
    assert settings.buckets == ("lake", "raw")
    assert settings.allow_paths == (Path("/data"), Path("/more"))
    assert settings.max_body == 8 * 2**20
    assert settings.result_ttl == timedelta(hours=12)
    assert settings.max_rows == 20_000_000
    assert settings.batches is False
    assert settings.task_sandbox == "off"
    assert settings.grace == timedelta(seconds=60)
    assert settings.prices == Path("/etc/dli/prices.toml")
    assert settings.migrate is False
    assert (settings.host, settings.port, settings.worker_port) == ("0.0.0.0", 8420, 8420)  # noqa: S104
    assert settings.database_url is not None
    assert (
        settings.database_url.get_secret_value() == "postgresql://dli:pass-word@db.example.org/dli"
    )
    assert settings.s3_secret_key is not None
    assert (settings.launcher, settings.kubernetes_namespace) == ("kubernetes", "dli-runs")
    assert settings.kubernetes_installation == "dli"
    assert settings.kubernetes_service_account == "dli-driver"
    assert settings.kubernetes_pull_secrets == ("registry",)


def test_clusters_are_read_where_their_pods_have_them(tmp_path: Path) -> None:
    manifests = render("everything")
    file = tmp_path / "clusters.toml"
    file.write_text(named(manifests, "ConfigMap", "dli-clusters")["data"]["clusters.toml"])
    assert named(manifests, "ConfigMap", "dli")["data"]["DLI_KUBERNETES_CLUSTERS"] == (
        "/etc/dli-clusters/clusters.toml"
    )
    assert read_clusters(file) == {
        "eu": ClusterSettings(
            kubeconfig=tmp_path / "eu/kubeconfig", namespace="dli-runs", context="admin"
        ),
        "us-west-2": ClusterSettings(
            kubeconfig=tmp_path / "us-west-2/kubeconfig", namespace="dli-runs"
        ),
    }
    wanted = {"dli-api", "dli-worker"}
    for name, template in pod_templates(manifests):
        spec = template["spec"]
        volume = [each for each in spec.get("volumes", ()) if each["name"] == "clusters"]
        mounts = spec["containers"][0].get("volumeMounts", ())
        folders = {each["mountPath"] for each in mounts if each["name"] == "clusters"}
        assert bool(volume) == bool(folders)
        if volume:
            wanted -= {name.rpartition("/")[2]}
            sources = volume[0]["projected"]["sources"]
            assert folders == {"/etc/dli-clusters"}
            assert [each["secret"]["items"][0] for each in sources[1:]] == [
                {"key": "kubeconfig", "path": "eu/kubeconfig"},
                {"key": "config", "path": "us-west-2/kubeconfig"},
            ]
    assert not wanted
    assert not of_kind(
        [each for each in render("minimal") if "clusters" in title(each)], "ConfigMap"
    )


def test_runs_have_the_image_of_their_service() -> None:
    for name, template in pod_templates(render("everything")):
        (container,) = template["spec"]["containers"]
        environment = {each["name"]: each.get("value") for each in container.get("env", [])}
        if "worker" in name or "api" in name:
            assert environment["DLI_KUBERNETES_IMAGE"] == container["image"]


def test_children_of_a_worker_have_the_cores_of_its_pod() -> None:
    for name, template in pod_templates(render("minimal", runs__asPods=False)):
        (container,) = template["spec"]["containers"]
        environment = {each["name"]: each.get("valueFrom") for each in container.get("env", [])}
        if "worker" in name:
            cores = environment["DLI_ENGINE_CORES"]
            assert cores == {"resourceFieldRef": {"resource": "limits.cpu"}}


def test_each_setting_reaches_the_service(monkeypatch: pytest.MonkeyPatch) -> None:
    values = {name: sample(schema) for name, schema in settings_schema()["properties"].items()}
    changes = {f"settings__{name}": value for name, value in values.items()}
    found = loaded(render("everything", **changes), monkeypatch)
    for name in values:
        monkeypatch.delenv(f"DLI_{name.upper()}")
    for name, value in values.items():
        wanted = load(**{name: tuple(value) if isinstance(value, list) else value})
        assert getattr(found, name) == getattr(wanted, name), name


def sample(schema: dict[str, Any]) -> Any:
    """A value of a setting that is not its default."""
    match schema:
        case {"enum": [*values]}:
            return values[-1]
        case {"type": "boolean"}:
            return False
        case {"type": "integer"}:
            return max(schema.get("minimum", 0), 3)
        case {"type": "array"}:
            return ["/one", "/two"]
        case {"pattern": pattern}:
            return next(text for text in ("36h", "3GiB") if re.search(pattern, text))
        case _:
            return "/a/b"
