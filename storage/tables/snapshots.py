"""The files of a table at one moment, and what their footers say about each row group.

These values are what pricing and pruning work on: they are computed once per snapshot, kept, and
handed to the child processes that prepare statements, so they pickle.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from storage.base.ids import SnapshotId, TableId


@dataclass(frozen=True, slots=True, kw_only=True)
class TableFile:
    """One data file. ``partition`` has the text value of each partition column, None for NULL."""

    uri: str
    size: int  #: bytes
    rows: int | None  #: None where the format does not tell without a scan
    etag: str
    partition: tuple[str | None, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ColumnStats:
    """One top-level column over all row groups of a snapshot; arrays are of one length.

    ``lower`` and ``upper`` compare like the column's type: int64 for integers, booleans, dates
    (days since 1970-01-01) and timestamps (microseconds, UTC); float64 for floats; Python ints
    scaled by the type's scale (dtype object) for decimals; str (dtype object) for strings. Entries
    are meaningless where ``bounded`` is false (no statistics, NaN, truncated, nested, or nothing
    but NULLs).
    """

    compressed: npt.NDArray[np.int64]  #: bytes of the column's chunks; nested leaves are summed
    nulls: npt.NDArray[np.int64]  #: -1 where unknown; the column missing in a file: all its rows
    bounded: npt.NDArray[np.bool_]
    lower: npt.NDArray[np.generic] | None
    upper: npt.NDArray[np.generic] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class RowGroups:
    """Every row group of a Parquet snapshot, files in the order of ``TableSnapshot.files``."""

    file: npt.NDArray[np.int32]  #: index into the snapshot's files
    rows: npt.NDArray[np.int64]
    columns: Mapping[str, ColumnStats]  #: by lower-case name; partition columns are not in it


@dataclass(frozen=True, slots=True, kw_only=True)
class TableSnapshot:
    """The files of one table at one moment. ``groups`` is None for formats without footers."""

    table_id: TableId
    snapshot_id: SnapshotId
    files: tuple[TableFile, ...]
    groups: RowGroups | None

    @property
    def rows(self) -> int | None:
        """Rows of the whole table, None if a file does not tell."""
        counts = [file.rows for file in self.files]
        return None if None in counts else sum(count for count in counts if count is not None)

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(file.size for file in self.files)
