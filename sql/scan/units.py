"""What may be left out of a scan as one: row groups where footers tell, else whole files."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sql.scan.constants import days_of, micros_of
from sql.scan.domains import Space, space_of
from storage.catalog.definitions import TableDef
from storage.tables.snapshots import ColumnStats, TableFile, TableSnapshot


@dataclass(frozen=True, slots=True, kw_only=True)
class Units:
    """The row groups of a snapshot, or its files for formats without footers.

    All arrays are of one length. ``stats`` has every column of which something is known, those of
    the partitions among them: their least and greatest value are the same.
    """

    file: npt.NDArray[np.int32]
    rows: npt.NDArray[np.int64]  #: 1 where unknown
    stats: dict[str, ColumnStats]

    @property
    def count(self) -> int:
        """How many there are."""
        return len(self.file)


def units_of(table: TableDef, snapshot: TableSnapshot) -> Units:
    """The units of ``snapshot``, in the order of its files."""
    if snapshot.groups is not None:
        file, rows = snapshot.groups.file, snapshot.groups.rows
        stats = dict(snapshot.groups.columns)
    else:
        file = np.arange(len(snapshot.files), dtype=np.int32)
        known = (1 if item.rows is None else item.rows for item in snapshot.files)
        rows = np.fromiter(known, dtype=np.int64, count=len(snapshot.files))
        stats = {}
    types = {column.name: column.type for column in table.columns}
    for place, name in enumerate(table.partitioned_by):
        made = _partition(name, types.get(name, "string"), place, snapshot.files, file, rows)
        if made is not None:
            stats[name] = made
    return Units(file=file, rows=rows, stats=stats)


def _partition(
    name: str,
    type_name: str,
    place: int,
    files: tuple[TableFile, ...],
    file: npt.NDArray[np.int32],
    rows: npt.NDArray[np.int64],
) -> ColumnStats | None:
    """A partition column as statistics: each file has one value of it, or NULL in all rows."""
    target = space_of(name, type_name)
    if target is None or target.space not in _READERS:
        return None
    read = _READERS[target.space]
    texts = [item.partition[place] for item in files]
    places = {text: read(text) for text in set(texts) if text is not None}
    values = [None if text is None else places[text] for text in texts]
    null = np.fromiter((text is None for text in texts), dtype=np.bool_, count=len(texts))
    known = np.fromiter((value is not None for value in values), dtype=np.bool_, count=len(values))
    if target.space is Space.STRING:
        array: npt.NDArray[np.generic] = np.empty(len(values), dtype=object)
        array[:] = ["" if value is None else value for value in values]
    else:
        array = np.fromiter((value or 0 for value in values), dtype=np.int64, count=len(values))
    return ColumnStats(
        compressed=np.zeros(len(file), dtype=np.int64),
        nulls=np.where(null[file], rows, 0),
        bounded=known[file],
        lower=array[file],
        upper=array[file],
    )


def _integer(text: str) -> int | None:
    digits = text[1:] if text[:1] == "-" else text
    plain = digits.isascii() and digits.isdigit() and len(digits) <= 18
    return int(text) if plain else None


def _boolean(text: str) -> int | None:
    return {"true": 1, "false": 0}.get(text.lower())


def _string(text: str) -> str:
    return text


_READERS = {
    Space.INTEGER: _integer,
    Space.BOOLEAN: _boolean,
    Space.DATE: days_of,
    Space.TIMESTAMP: micros_of,
    Space.STRING: _string,
}
