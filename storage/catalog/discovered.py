"""What was found at a location, before there is a table."""

from __future__ import annotations

from dataclasses import dataclass

from storage.base.ids import SnapshotId
from storage.catalog.definitions import Column


@dataclass(frozen=True, slots=True, kw_only=True)
class Discovered:
    """The definition that the files of a location imply; the files are listed in the snapshot."""

    location: str  #: canonical address
    columns: tuple[Column, ...]  #: partition columns last
    partitioned_by: tuple[str, ...]
    options: tuple[tuple[str, str], ...]
    snapshot_id: SnapshotId
