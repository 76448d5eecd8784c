from __future__ import annotations

from pathlib import Path

import pytest

from storage.meta.database import Database
from storage.objects.folder import FolderStore
from storage.objects.locations import Locations
from tests.support.lake import Lake


@pytest.fixture
def lake(database: Database, tmp_path: Path) -> Lake:
    """Tables over both databases, with a folder as warehouse."""
    data, warehouse = tmp_path / "data", tmp_path / "warehouse"
    data.mkdir()
    warehouse.mkdir()
    return Lake(
        database=database,
        data=data.resolve(),
        warehouse=FolderStore(warehouse),
        locations=Locations(folders=[data], s3=None, buckets=[]),
    )
