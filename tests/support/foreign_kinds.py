"""Kinds of objects that others define (Istio, Gateway API, Prometheus), from their Go modules.

The definitions are enough for an API server to check objects of these kinds; nothing acts on them.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

#: Module, and where in it the definitions lie.
MODULES = {
    "istio.io/api@v1.31.1": ("kubernetes/customresourcedefinitions.gen.yaml",),
    "sigs.k8s.io/gateway-api@v1.4.0": (
        "config/crd/standard/gateway.networking.k8s.io_httproutes.yaml",
    ),
    "github.com/prometheus-operator/prometheus-operator@v0.85.0": (
        "example/prometheus-operator-crd/monitoring.coreos.com_servicemonitors.yaml",
    ),
}
_DOWNLOAD_SECONDS = 300


def definitions() -> list[Path]:
    """Files with the definitions; empty where there is no Go or no module proxy."""
    program = shutil.which("go", path=f"{os.environ.get('PATH', os.defpath)}:/usr/local/go/bin")
    if program is None:
        return []
    done = subprocess.run(
        [program, "mod", "download", "-json", *MODULES],
        capture_output=True,
        text=True,
        check=False,
        timeout=_DOWNLOAD_SECONDS,
        cwd="/",  # outside of any module
        env={**os.environ, "GOFLAGS": "-mod=mod", "GOTOOLCHAIN": "local"},
    )
    if done.returncode:
        return []
    found: list[Path] = []
    decoder, rest = json.JSONDecoder(), done.stdout.strip()
    while rest:  # one object after the other
        told, end = decoder.raw_decode(rest)
        rest = rest[end:].strip()
        files = MODULES[f"{told['Path']}@{told['Version']}"]
        found += [Path(told["Dir"]) / name for name in files]
    return found
