"""The porter as it is brought to an image: by its own Python, in a root that has nothing else."""

from __future__ import annotations

import io
import json
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Any

import pytest

from jobs.launchers.pod import brought, runtime
from jobs.launchers.pod.brought import command
from jobs.tasks.sandbox import SandboxMode, find_sandbox
from tests.support.tools import FOLDER, TOOL, build_tool
from tests.unit.jobs.launchers.test_porter import Store, order_of, packed, store

__all__ = ["store"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("brought")
    subprocess.run([sys.executable, "-I", runtime.__file__, made], check=True)
    return made


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The root of an image with one program, which needs no library."""
    if find_sandbox(SandboxMode.AUTO, ()).program is None:
        pytest.skip("no bubblewrap that works")
    root = tmp_path_factory.mktemp("image")
    (root / FOLDER).mkdir()
    build_tool(root / FOLDER)
    return root


class Bare:
    """A pod of that image; its home and its porter are at the same paths inside."""

    def __init__(self, image: Path, folder: Path, root: Path, **more: Any) -> None:
        self.root, self.home = root, root / "run"
        self.home.mkdir()
        (root / "order.json").write_text(json.dumps(order_of(self.home, **more)))
        sandbox: list[str | Path] = [
            *("bwrap", "--unshare-pid", "--unshare-user", "--uid", "185", "--ro-bind", image, "/"),
            *("--proc", "/proc", "--dev", "/dev", "--ro-bind", folder, folder),
            *("--bind", root, root, "--clearenv", "--setenv", "PATH", f"/{FOLDER}"),
            *("--setenv", "TOOL", "hammer", "--setenv", "KUBERNETES_PORT", "1"),
            *("--setenv", "DLI_TERMINATION_LOG", root / "message", "--"),
        ]
        inside: list[str | Path] = [*command(str(folder)), self.home, root / "order.json"]
        self.done = subprocess.run(
            [*sandbox, *inside], capture_output=True, check=False, timeout=60
        )

    @property
    def message(self) -> dict[str, Any]:
        told: dict[str, Any] = json.loads((self.root / "message").read_text())
        return told


@pytest.fixture
def mounts(image: Path, folder: Path, tmp_path: Path) -> None:
    """Where the volumes of a pod would be mounted: points that the runtime of containers makes."""
    for path in (folder, tmp_path):
        (image / path.relative_to("/")).mkdir(parents=True, exist_ok=True)
    for name in ("proc", "dev"):
        (image / name).mkdir(exist_ok=True)


@pytest.mark.usefixtures("mounts")
def test_an_image_without_anything_is_run(
    image: Path, folder: Path, tmp_path: Path, store: Store
) -> None:
    store.objects["/in"] = packed({"stdin": b"words\n"})
    pod = Bare(
        image, folder, tmp_path,
        command=[TOOL, "leave", "made"], environment={}, inherits=True,
        keeps=["made", "stdin"], inputs=store.link("in"), outputs=store.link("out"),
    )  # fmt: skip
    assert (pod.done.returncode, pod.message["code"]) == (0, 0), pod.done.stderr
    with tarfile.open(fileobj=io.BytesIO(store.objects["/out"])) as tar:
        for name, said in (("work/stdin", b"words\n"), ("work/made", b"hammer ours 185")):
            kept = tar.extractfile(name)
            assert kept is not None
            assert kept.read() == said


@pytest.mark.usefixtures("mounts")
def test_an_exit_code_is_that_of_the_command(image: Path, folder: Path, tmp_path: Path) -> None:
    pod = Bare(image, folder, tmp_path, command=[TOOL, "exit", "7"], environment={}, inherits=True)
    assert (pod.done.returncode, pod.message["code"]) == (7, 7)


@pytest.mark.usefixtures("mounts")
def test_a_command_that_the_image_lacks_is_told(image: Path, folder: Path, tmp_path: Path) -> None:
    pod = Bare(image, folder, tmp_path, command=["saw"], environment={}, inherits=True)
    assert (pod.done.returncode, pod.message["code"]) == (127, 127)
    assert pod.done.stdout == b"cannot start /tools/saw: No such file or directory\n"


def test_what_is_brought_is_small_and_readable_by_all(folder: Path) -> None:
    files = [path for path in folder.rglob("*") if path.is_file() and not path.is_symlink()]
    assert all(path.stat().st_mode & 0o004 for path in files)
    assert sum(path.stat().st_size for path in files) < 64 << 20
    assert (folder / brought.LOADER).stat().st_mode & 0o001
