"""An image of somebody else: one program that needs no library, no shell, no user and no folder."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

from tests.support import cluster as clusters

TOOL = "tool"  #: see ``tool.c`` for what it does
FOLDER = "tools"  #: of the program in its image, whose PATH it is
IMAGE = "localhost/dli-test-tools:1"

_SOURCE = Path(__file__).with_name("tool.c")
_WRITER = clusters.ROOT / "image" / "oci.py"


def build_tool(folder: Path) -> Path:
    """Compile the program; a machine without a C compiler skips the test."""
    made = folder / TOOL
    if shutil.which("cc") is None:
        pytest.skip("no C compiler")
    subprocess.run(["cc", "-static", "-O1", "-o", made, _SOURCE], check=True)  # noqa: S607
    return made


def load_tools(folder: Path) -> str:
    """Put the image into the nodes of our own cluster, and give its name; skips on another's."""
    if not clusters.running():
        pytest.skip("images can be put only into the nodes of our own cluster")
    layer = folder / "tools.tar"
    with tarfile.open(layer, "w") as tar:
        tar.add(build_tool(folder), f"{FOLDER}/{TOOL}", filter=_of_root)
    environment = (f"--env=PATH=/{FOLDER}", "--env=TOOL=hammer")
    writing = (sys.executable, _WRITER, f"--entrypoint=/{FOLDER}/{TOOL}", *environment)
    subprocess.run([*writing, folder / "layout", IMAGE, layer], check=True)
    subprocess.run([clusters.SCRIPTS / "load", folder / "layout"], check=True)
    return IMAGE


def _of_root(member: tarfile.TarInfo) -> tarfile.TarInfo:
    member.uid = member.gid = 0
    member.mode, member.mtime = 0o755, 0
    return member
