"""Writes a container image as an OCI layout: a folder that ``skopeo``, ``ctr`` and others take.

    oci.py [--entrypoint PROGRAM] [--env NAME=VALUE] FOLDER NAME:TAG LAYER...

A layer is a tar file, the lowest first, and is linked into the folder, not copied. Layers are not
compressed, since gzip takes longer than all the rest; who pushes the image compresses them.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
from pathlib import Path
from typing import Any

#: The same as in the Dockerfile; a test compares them.
CONFIG: dict[str, Any] = {
    "Env": [
        "PATH=/opt/dli/bin:/opt/java/bin:/usr/local/bin:/usr/bin:/bin",
        "JAVA_HOME=/opt/java",
        "SPARK_HOME=/opt/spark",
        "DLI_HOME=/var/lib/dli",
        "DLI_JAVA_HOME=/opt/java",
        "LANG=C.UTF-8",
        "PYTHONDONTWRITEBYTECODE=1",
    ],
    "Entrypoint": ["/opt/entrypoint"],
    "User": "185:185",
    "WorkingDir": "/tmp",
}


def main(folder: Path, name: str, layers: list[Path], settings: dict[str, Any] = CONFIG) -> None:
    """Write the layout, and take away what an older one had."""
    blobs = folder / "blobs" / "sha256"
    blobs.mkdir(parents=True, exist_ok=True)
    wanted: set[str] = set()

    def blob(document: object, kind: str) -> dict[str, Any]:
        data = json.dumps(document).encode()
        digest = hashlib.sha256(data).hexdigest()
        (blobs / digest).write_bytes(data)
        wanted.add(digest)
        return described(kind, digest, len(data))

    described_layers = []
    for layer in layers:
        digest = digest_of(layer)
        wanted.add(digest)
        if not (blobs / digest).exists():
            os.link(layer, blobs / digest)
        described_layers.append(described("layer.v1.tar", digest, layer.stat().st_size))
    config = {
        "architecture": {"x86_64": "amd64", "aarch64": "arm64"}[os.uname().machine],
        "os": "linux",
        "config": settings,
        "rootfs": {
            "type": "layers",
            "diff_ids": [each["digest"] for each in described_layers],
        },
    }
    manifest = {
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": blob(config, "config.v1+json"),
        "layers": described_layers,
    }
    entry = blob(manifest, "manifest.v1+json")
    entry["annotations"] = {
        "io.containerd.image.name": name,
        "org.opencontainers.image.ref.name": name.rpartition(":")[2],
    }
    (folder / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}')
    (folder / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": [entry]}))
    for path in blobs.iterdir():
        if path.name not in wanted:
            path.unlink()


def described(kind: str, digest: str, size: int) -> dict[str, Any]:
    """A descriptor, as the specification of OCI images calls it."""
    media = f"application/vnd.oci.image.{kind}"
    return {"mediaType": media, "digest": f"sha256:{digest}", "size": size}


def digest_of(layer: Path) -> str:
    """Kept beside the layer: to compute it takes seconds, and a layer is never changed."""
    kept = layer.with_suffix(".sha256")
    if not kept.exists():
        with layer.open("rb") as file:
            kept.write_text(hashlib.file_digest(file, "sha256").hexdigest())
    return kept.read_text()


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--entrypoint", help="the whole configuration, instead of the product's")
    parser.add_argument("--env", action="append", help="beside the entrypoint; repeatable")
    parser.add_argument("folder", type=Path)
    parser.add_argument("name")
    parser.add_argument("layers", type=Path, nargs="+")
    given = parser.parse_args()
    entry = {"Entrypoint": [given.entrypoint], "Env": given.env or []}
    plain = entry if given.entrypoint else CONFIG
    main(given.folder, given.name, given.layers, plain)
