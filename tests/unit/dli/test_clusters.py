"""The file of further clusters."""

from __future__ import annotations

from pathlib import Path

import pytest

from dli.clusters import every_cluster, read_clusters
from dli.settings.loading import InvalidSettingError, load
from jobs.launchers.pods import ClusterSettings


def test_each_table_is_a_cluster(tmp_path: Path) -> None:
    path = tmp_path / "clusters.toml"
    path.write_text(
        '[eu]\nkubeconfig = "eu/config"\nnamespace = "runs"\n'
        '[us-west-2]\nkubeconfig = "/etc/us"\nnamespace = "dli"\ncontext = "admin"\n'
    )
    found = every_cluster(load(home=tmp_path, kubernetes_clusters=path))
    assert found == {
        "default": ClusterSettings(),
        "eu": ClusterSettings(kubeconfig=tmp_path / "eu/config", namespace="runs"),
        "us-west-2": ClusterSettings(kubeconfig=Path("/etc/us"), namespace="dli", context="admin"),
    }


def test_without_a_file_there_is_one(tmp_path: Path) -> None:
    assert list(every_cluster(load(home=tmp_path))) == ["default"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('[default]\nkubeconfig = "c"\nnamespace = "n"', "'default' cannot name"),
        ('[EU]\nkubeconfig = "c"\nnamespace = "n"', "'EU' cannot name"),
        ('[eu_west]\nkubeconfig = "c"\nnamespace = "n"', "'eu_west' cannot name"),
        ('[eu-central-12]\nkubeconfig = "c"\nnamespace = "n"', "cannot name"),
        ('[eu]\nkubeconfig = "c"', "eu.namespace: Field required"),
        ('[eu]\nkubeconfig = "c"\nnamespace = "n"\nimage = "i"', "eu.image: Extra inputs"),
        ("eu = 1", "eu: Input should be"),
        ("[eu", "cannot be read"),
    ],
)
def test_what_is_wrong_is_told(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "clusters.toml"
    path.write_text(text)
    with pytest.raises(InvalidSettingError, match=words):
        read_clusters(path)


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(InvalidSettingError, match="cannot be read"):
        read_clusters(tmp_path / "nothing")
