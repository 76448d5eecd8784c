"""Definitions that were read before. A definition of one id, version and snapshot never changes."""

from __future__ import annotations

import threading
from collections import OrderedDict

from storage.catalog.definitions import TableDef

#: Id, version and snapshot. The snapshot is in it because a version that was rolled back is given
#: again, while ids of snapshots are not.
Key = tuple[str, int, str | None]

_MOST = 4096


class Memo:
    """The definitions used last; asking for one saves reading and decoding its row."""

    def __init__(self, limit: int = _MOST) -> None:
        self._limit = limit
        self._kept: OrderedDict[Key, TableDef] = OrderedDict()
        self._lock = threading.Lock()  # guards the dict

    def get(self, key: Key) -> TableDef | None:
        with self._lock:
            found = self._kept.get(key)
            if found is not None:
                self._kept.move_to_end(key)
            return found

    def put(self, table: TableDef) -> None:
        """Keep ``table``, which was read from its row."""
        with self._lock:
            self._kept[(table.id, table.version, table.snapshot_id)] = table
            if len(self._kept) > self._limit:
                self._kept.popitem(last=False)
