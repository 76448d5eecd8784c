"""The Dockerfile and the script for machines without Docker give the same image."""

from __future__ import annotations

import importlib.util
import json
import re
import tarfile
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[3]
DOCKERFILE = (ROOT / "image" / "Dockerfile").read_text(encoding="utf-8")
BUILD = (ROOT / "image" / "build").read_text(encoding="utf-8")
STEPS = ("python", "jars", "system", "app")


@pytest.fixture(scope="module")
def oci() -> ModuleType:
    spec = importlib.util.spec_from_file_location("oci", ROOT / "image" / "oci.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def last_stage() -> str:
    """The image itself, each instruction on a line."""
    return DOCKERFILE.replace("\\\n", "").rpartition("\nFROM ")[2]


def test_both_give_the_same_environment(oci: ModuleType) -> None:
    [line] = re.findall(r"^ENV (.*)$", last_stage(), flags=re.M)
    assert line.split() == oci.CONFIG["Env"]


def test_both_start_alike_as_the_same_user(oci: ModuleType) -> None:
    for name, value in (
        ("USER", oci.CONFIG["User"]),
        ("WORKDIR", oci.CONFIG["WorkingDir"]),
        ("ENTRYPOINT", json.dumps(oci.CONFIG["Entrypoint"])),
    ):
        assert f"\n{name} {value}" in last_stage()


@pytest.mark.parametrize("step", STEPS)
def test_both_run_each_step(step: str) -> None:
    assert f"RUN image/{step} /layers/{step}" in DOCKERFILE
    assert f"COPY --from=builder /layers/{step} /" in DOCKERFILE
    assert f'"$HERE/{step}"' in BUILD


def test_both_record_with_the_same_code() -> None:
    [recorder] = re.findall(r"^RECORDER=\((.*?)\)$", BUILD, flags=re.M | re.S)
    lines = DOCKERFILE.replace("\\\n", " ").splitlines()
    copies = [line.split()[1:-1] for line in lines if re.match(r"COPY .* /record/", line)]
    files = {name for names in copies for name in names}
    assert files == set(expanded(recorder))


def expanded(words: str) -> list[str]:
    """As a shell expands braces."""
    found = []
    for word in words.split():
        brace = re.search(r"\{(.*)\}", word)
        names = brace[1].split(",") if brace else [""]
        found += [word.replace(brace[0], name) if brace else word for name in names]
    return found


def test_a_layout_names_its_layers_and_keeps_no_others(oci: ModuleType, tmp_path: Path) -> None:
    for name in ("old", "new"):
        with tarfile.open(tmp_path / f"{name}.tar", "w") as tar:
            tar.addfile(tarfile.TarInfo(name))
    folder = tmp_path / "layout"
    oci.main(folder, "localhost/x:1", [tmp_path / "old.tar"])
    oci.main(folder, "localhost/x:1", [tmp_path / "new.tar"])

    def blob(descriptor: dict[str, str]) -> bytes:
        return (folder / "blobs" / descriptor["digest"].replace(":", "/")).read_bytes()

    [entry] = json.loads((folder / "index.json").read_text())["manifests"]
    manifest = json.loads(blob(entry))
    config = json.loads(blob(manifest["config"]))
    [layer] = manifest["layers"]
    assert blob(layer) == (tmp_path / "new.tar").read_bytes()
    assert config["rootfs"]["diff_ids"] == [layer["digest"]]
    assert len(list((folder / "blobs" / "sha256").iterdir())) == 3
