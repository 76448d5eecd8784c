"""The Helm chart for tests: its files, what a real helm renders of it, and where that helm is."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
CHART = ROOT / "helm" / "dli"
CASES = ("minimal", "everything")  #: files of values in ci/

KUBERNETES = "1.34.4"  #: what is rendered without a cluster is rendered for

Manifest = dict[str, Any]


def helm_binary() -> Path | None:
    """Helm of the PATH, or the one that `make cluster-up` has built, if there is any."""
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    built = (
        Path(os.environ.get("DLI_CLUSTER_CACHE") or Path(cache) / "dli-cluster") / "bin" / "helm"
    )
    on_path = shutil.which("helm")
    return Path(on_path) if on_path else built if os.access(built, os.X_OK) else None


needs_helm = pytest.mark.skipif(
    helm_binary() is None, reason="no helm here: install it, or run tests/cluster/build helm"
)


def values_of(case: str) -> Path:
    """A file of values in the chart's ``ci``."""
    return CHART / "ci" / f"{case}-values.yaml"


def helm(*words: str, kubeconfig: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Run helm and wait; whoever calls looks at the exit code."""
    binary = helm_binary()
    assert binary is not None
    target = {} if kubeconfig is None else {"KUBECONFIG": str(kubeconfig)}
    return subprocess.run(
        [str(binary), *words],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, **target},
    )


def render(case: str, *, namespace: str = "dli", **changes: object) -> list[Manifest]:
    """What helm makes of a file of values, with ``changes`` in it (``a__b=1`` is a.b)."""
    told = rendering(case, namespace=namespace, **changes)
    assert told.returncode == 0, told.stderr
    return [each for each in yaml.safe_load_all(told.stdout) if each]


def rendering(
    case: str, *, namespace: str = "dli", **changes: object
) -> subprocess.CompletedProcess[str]:
    """As ``render``, whatever helm says of it."""
    sets = [
        word
        for name, value in changes.items()
        for word in ("--set-json", f"{name.replace('__', '.')}={json.dumps(value)}")
    ]
    words = ["--namespace", namespace, "--kube-version", KUBERNETES, "-f", str(values_of(case))]
    return _templated(*words, *sets)


@lru_cache(maxsize=64)
def _templated(*words: str) -> subprocess.CompletedProcess[str]:
    """Once for all tests that want the same of it."""
    return helm("template", "dli", str(CHART), *words)


def of_kind(manifests: list[Manifest], *kinds: str) -> list[Manifest]:
    """Those of some kinds."""
    return [each for each in manifests if each["kind"] in kinds]


def named(manifests: list[Manifest], kind: str, name: str) -> Manifest:
    """The one of this kind and name."""
    (found,) = [each for each in of_kind(manifests, kind) if each["metadata"]["name"] == name]
    return found


def title(manifest: Manifest) -> str:
    """How a message calls it."""
    return f"{manifest['kind']}/{manifest['metadata']['name']}"


def pod_templates(manifests: list[Manifest]) -> Iterator[tuple[str, Manifest]]:
    """The pods that are made of these manifests, by what makes them."""
    for each in manifests:
        if "template" in (each.get("spec") or {}):
            yield title(each), each["spec"]["template"]


def matches(selector: Mapping[str, str], labels: Mapping[str, str]) -> bool:
    """Whether a selector of equalities takes these labels."""
    return selector.items() <= labels.items()
