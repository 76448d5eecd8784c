"""What only the folder store promises: durable names, no litter, errors of the disk."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from storage.objects.api import StoreUnavailableError
from storage.objects.folder import FolderStore
from storage.objects.keys import UNFINISHED

FULL_DISK = """
import resource, signal, sys
from pathlib import Path
from storage.objects.api import StoreFullError
from storage.objects.folder import FolderStore
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
try:
    FolderStore(Path(sys.argv[1])).put("a/b", bytes(5000))
except StoreFullError as error:
    print(error.code, error.hint)
"""


def files(root: Path) -> list[str]:
    return sorted(str(path.relative_to(root)) for path in root.rglob("*"))


def test_objects_are_plain_files(tmp_path: Path) -> None:
    store = FolderStore(tmp_path)
    store.put("a/b.txt", b"text")
    assert (tmp_path / "a/b.txt").read_bytes() == b"text"
    assert store.uri("a/b.txt") == f"file://{tmp_path.resolve()}/a/b.txt"


def test_delete_removes_empty_folders_but_not_the_root(tmp_path: Path) -> None:
    store = FolderStore(tmp_path / "root")
    store.put("a/b/c", b"")
    store.delete("a/b/c")
    assert files(tmp_path) == ["root"]


def test_a_full_disk_is_told_and_leaves_nothing(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", FULL_DISK, str(tmp_path)], capture_output=True, text=True, check=True
    )
    assert done.stdout.startswith("store_full free space")
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_a_failed_write_keeps_the_old_object(tmp_path: Path) -> None:
    store = FolderStore(tmp_path)
    store.put("a", b"old")
    source = tmp_path / "source"
    source.mkdir()
    with pytest.raises(IsADirectoryError):
        store.put_file("a", source)
    with suppress(MemoryError), store._written("a") as file:
        file.write(b"half of the n")
        raise MemoryError
    source.rmdir()
    assert store.get("a") == b"old"
    assert files(tmp_path) == ["a"]


def test_unfinished_writes_of_a_crash_are_not_listed(tmp_path: Path) -> None:
    store = FolderStore(tmp_path)
    store.put("a/b", b"")
    (tmp_path / "a" / f"{UNFINISHED}0123").write_bytes(b"half")
    assert [found.key for found in store.list("")] == ["a/b"]


def test_a_key_below_an_object_is_a_mistake(tmp_path: Path) -> None:
    store = FolderStore(tmp_path)
    store.put("a", b"")
    with pytest.raises(ValueError, match="both an object and a folder"):
        store.put("a/b", b"")
    store.delete("a/b")
    assert files(tmp_path) == ["a"]


def test_an_object_over_a_folder_is_a_mistake(tmp_path: Path) -> None:
    store = FolderStore(tmp_path)
    store.put("a/b", b"")
    with pytest.raises(ValueError, match="both an object and a folder"):
        store.put("a", b"")
    assert files(tmp_path) == ["a", "a/b"]


def test_a_root_that_is_a_file_is_unavailable(tmp_path: Path) -> None:
    (tmp_path / "root").write_bytes(b"")
    with pytest.raises(StoreUnavailableError):
        FolderStore(tmp_path / "root")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_without_rights_is_unavailable(tmp_path: Path) -> None:
    store = FolderStore(tmp_path / "root")
    store.root.chmod(stat.S_IRUSR | stat.S_IXUSR)
    with pytest.raises(StoreUnavailableError, match="Permission denied"):
        store.put("a", b"")
    store.root.chmod(stat.S_IRWXU)


def test_etag_changes_when_a_file_is_replaced_by_one_as_big(tmp_path: Path) -> None:
    store = FolderStore(tmp_path)
    store.put("a", b"1")
    first = store.stat("a")
    store.put("a", b"2")
    assert store.stat("a").etag != first.etag
