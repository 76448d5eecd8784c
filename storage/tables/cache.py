"""Snapshots in memory: they never change, so the newest used ones are kept up to a size."""

from __future__ import annotations

import threading
from collections import OrderedDict

from storage.base.ids import SnapshotId
from storage.tables.snapshots import TableSnapshot

_PER_FILE = 600  # bytes of a TableFile with its texts, measured on 64-bit CPython 3.11
_PER_TEXT = 110  # bytes of a kept string bound


class SnapshotCache:
    """At most ``limit`` bytes of snapshots, the longest unused one leaves first."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._size = 0
        self._kept: OrderedDict[SnapshotId, tuple[int, TableSnapshot]] = OrderedDict()
        self._lock = threading.Lock()  # guards all of the above

    def get(self, snapshot_id: SnapshotId) -> TableSnapshot | None:
        """The snapshot if it is here, now the newest used."""
        with self._lock:
            found = self._kept.get(snapshot_id)
            if found is None:
                return None
            self._kept.move_to_end(snapshot_id)
            return found[1]

    def put(self, snapshot: TableSnapshot) -> None:
        """Keep the snapshot, unless it alone is larger than the limit."""
        size = _size(snapshot)
        with self._lock:
            if snapshot.snapshot_id in self._kept or size > self._limit:
                return
            self._kept[snapshot.snapshot_id] = (size, snapshot)
            self._size += size
            while self._size > self._limit:
                _, (freed, _snapshot) = self._kept.popitem(last=False)
                self._size -= freed


def _size(snapshot: TableSnapshot) -> int:
    size = 1000 + len(snapshot.files) * _PER_FILE
    if snapshot.groups is None:
        return size
    for column in snapshot.groups.columns.values():
        for array in (column.compressed, column.nulls, column.bounded, column.lower, column.upper):
            if array is not None:
                size += array.nbytes + (len(array) * _PER_TEXT if array.dtype == object else 0)
    return size
