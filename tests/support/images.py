"""A version of the product that is later than this checkout's: its image with a layer on top.

The layer has a migration that adds a column and says that the code of this checkout runs beside it,
and another version's name, so that one can see which of the two answers.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tarfile
from importlib.metadata import version
from io import BytesIO
from pathlib import Path
from typing import Any

from dli.migrations.current import head
from tests.support.cluster import ROOT, SCRIPTS, Cluster, image_cache

LATER, LATER_SCHEMA = "9.9.9", "9000"
_SITE = "opt/dli/lib/python3.11/site-packages"
_MIGRATION = f'''\
import sqlalchemy as sa
from alembic import op

revision, down_revision, branch_labels, depends_on = "{LATER_SCHEMA}", "{{head}}", None, None
oldest = "{{head}}"


def upgrade() -> None:
    op.add_column("projects", sa.Column("motto", sa.String(length=64)))
'''


def later_image(cluster: Cluster) -> str | None:
    """Put it into the nodes of our own cluster; its name, None for a given cluster.

    A given cluster may have one of its own, by the name in ``DLI_TEST_LATER_IMAGE``.
    """
    if cluster.run is None:
        return os.environ.get("DLI_TEST_LATER_IMAGE")
    name = f"{cluster.image.rpartition(':')[0]}:{LATER}"
    later = make_later(image_cache() / "layout", name, image_cache())
    subprocess.run([SCRIPTS / "load", later], check=True, stdout=subprocess.DEVNULL)
    return name


def make_later(layout: Path, name: str, folder: Path) -> Path:
    """The layout of the later version's image, with the layers of the one in ``layout``.

    ``folder`` is on the same file system: layers are linked.
    """
    top = folder / "later.tar"
    _write_layer(top)
    top.with_suffix(".sha256").unlink(missing_ok=True)  # `oci.py` takes a layer for unchanging
    later = folder / "later"
    words = (ROOT / "image" / "oci.py", later, name, *_layers(layout), top)
    command = [sys.executable, *map(str, words)]
    subprocess.run(command, check=True)
    return later


def _layers(layout: Path) -> list[Path]:
    """The layers of the product's image, the lowest first."""

    def blob(descriptor: dict[str, Any]) -> Path:
        return layout / "blobs" / Path(*descriptor["digest"].split(":"))

    (entry,) = json.loads((layout / "index.json").read_text())["manifests"]
    manifest = json.loads(blob(entry).read_text())
    return [blob(each) for each in manifest["layers"]]


def _write_layer(path: Path) -> None:
    files = {
        f"{_SITE}/dli/migrations/versions/{LATER_SCHEMA}_motto.py": _MIGRATION.format(head=head()),
        f"{_SITE}/dli-{version('dli')}.dist-info/METADATA": (
            f"Metadata-Version: 2.1\nName: dli\nVersion: {LATER}\n"
        ),
    }
    with tarfile.open(path, "w") as tar:
        for name, text in files.items():
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(text), 0o644
            tar.addfile(entry, BytesIO(text.encode()))
