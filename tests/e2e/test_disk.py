"""A full disk: the statement says so, the service lives, and nothing half done remains."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from dli.remote.problems import ApiError
from tests.e2e.conftest import Starter

ROWS = 3_000_000


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 48 MB; skipped where we may not mount one."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["/bin/mount", "-t", "tmpfs", "-o", "size=48m", "tmpfs", str(folder)]
    done = subprocess.run(mount, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"cannot mount a small disk here: {done.stderr.strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["/bin/umount", "--lazy", str(folder)], check=True)


@pytest.mark.parametrize(
    "sql",
    [
        f"CREATE TABLE default.big AS SELECT id, sha2(cast(id AS string), 512) AS x "
        f"FROM range({ROWS})",
        f"SELECT id, sha2(cast(id AS string), 512) AS x FROM range({ROWS})",
    ],
)
def test_full_disk_fails_the_statement_only(
    starter: Starter, tmp_path: Path, small_disk: Path, sql: str
) -> None:
    warehouse = small_disk / "warehouse"
    service = starter(tmp_path / "home", environment={"DLI_WAREHOUSE": str(warehouse)})
    service.await_ready()
    with service.client() as client:
        with pytest.raises(ApiError) as caught:
            client.run(sql)
        assert "space" in str(caught.value).lower() or "disk" in caught.value.code
        with pytest.raises(ApiError):
            client.table("default.big")
        assert client.run("SELECT 1").state == "finished"
