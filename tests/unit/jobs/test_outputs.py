from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from jobs.files import Files, FileSettings, parse_file_uri
from jobs.outputs import Output, OutputMissingError, find_files, find_output, keep_outputs
from jobs.tasks.errors import TaskOutputError
from storage.base.clock import ManualClock
from storage.base.errors import UnavailableError
from storage.meta.database import Database
from storage.objects.api import StoreFullError
from storage.objects.folder import FolderStore
from storage.objects.locations import Locations
from tests.support.jobs import PROJECT


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("a.csv", "out/b.csv", "out/deep/c.csv", "out/d.txt"):
        path = tmp_path / "files" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
    return tmp_path / "files"


def names(folder: Path, *patterns: str) -> list[str]:
    return list(find_files(folder, patterns, error=TaskOutputError))


@pytest.mark.parametrize(
    ("patterns", "found"),
    [
        ((), []),
        (("a.csv",), ["a.csv"]),
        (("out/*",), ["out/b.csv", "out/d.txt"]),
        (("**/*.csv",), ["a.csv", "out/b.csv", "out/deep/c.csv"]),
        (("out/d.txt", "*.csv", "a*"), ["out/d.txt", "a.csv"]),
        (("*.parquet",), []),
    ],
)
def test_files_are_found_by_pattern(
    folder: Path, patterns: tuple[str, ...], found: list[str]
) -> None:
    assert names(folder, *patterns) == found


def test_plain_name_without_a_file_is_told(folder: Path) -> None:
    with pytest.raises(TaskOutputError, match=r"did not leave a file 'b\.csv'"):
        names(folder, "b.csv")


def test_links_are_not_followed(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "secret").mkdir()
    (tmp_path / "secret" / "key.csv").write_text("hush")
    os.symlink(tmp_path / "secret" / "key.csv", folder / "link.csv")
    os.symlink(tmp_path / "secret", folder / "linked")
    assert names(folder, "*.csv", "linked/*", "**/key.csv") == ["a.csv"]


def test_pipes_and_folders_are_no_files(folder: Path) -> None:
    os.mkfifo(folder / "pipe")
    assert names(folder, "pip*", "ou*") == []


def test_too_many_files_are_refused(folder: Path) -> None:
    for number in range(1001):
        (folder / f"{number}.n").touch()
    with pytest.raises(TaskOutputError, match="1001 files"):
        names(folder, "*.n")


def test_name_that_is_no_text_is_refused(folder: Path) -> None:
    (folder / os.fsdecode(b"bad\xff.bin")).touch()
    with pytest.raises(TaskOutputError, match="not UTF-8"):
        names(folder, "*.bin")


def test_facts_name_what_others_can_use() -> None:
    output = Output(name="out/a b.csv", size=3, sha256="ab" * 32)
    told = output.facts()
    assert parse_file_uri(told["uri"]) == ("ab" * 32, "a b.csv")
    assert find_output({"outputs": [told]}, "out/a b.csv") == output
    with pytest.raises(OutputMissingError):
        find_output({}, "stdout")


class FullStore(FolderStore):
    """Has no room for the first two files."""

    tries = 0

    def put_file(self, key: str, path: Path) -> None:
        self.tries += 1
        if self.tries < 3:
            raise StoreFullError("no space left")
        super().put_file(key, path)


def test_a_full_store_is_waited_for(database: Database, tmp_path: Path) -> None:
    store = FullStore(tmp_path / "store")
    files = Files(
        database=database,
        store=store,
        locations=Locations(folders=(), s3=None, buckets=()),
        clock=ManualClock(),
        settings=FileSettings(drafts=tmp_path / "drafts"),
    )
    (tmp_path / "stdout").write_bytes(b"precious")

    def patiently(action: Callable[[], Output]) -> Output:
        while True:
            try:
                return action()
            except UnavailableError:
                continue

    [kept] = keep_outputs(files, PROJECT, {"stdout": tmp_path / "stdout"}, patiently)
    assert (kept.name, kept.size, store.tries) == ("stdout", 8, 3)
