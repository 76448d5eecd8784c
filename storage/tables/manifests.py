"""A list of files with what their footers say, and its two stored forms (Arrow IPC with zstd)."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.ipc

from storage.tables.snapshots import TableFile

_FILES = pa.schema(
    [
        ("uri", pa.string()),
        ("size", pa.int64()),
        ("rows", pa.int64()),
        ("etag", pa.string()),
        ("partition", pa.list_(pa.string())),
    ]
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """``groups`` is the table of ``storage.tables.statistics``, None for text formats."""

    files: tuple[TableFile, ...]
    groups: pa.Table | None

    @property
    def rows(self) -> int | None:
        """Rows of all files, None if one does not tell."""
        counts = [file.rows for file in self.files]
        return None if None in counts else sum(one for one in counts if one is not None)

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(file.size for file in self.files)


def encode_files(files: Sequence[TableFile]) -> bytes:
    """The list of files as one Arrow stream."""
    columns: dict[str, list[Any]] = {name: [] for name in _FILES.names}
    for file in files:
        columns["uri"].append(file.uri)
        columns["size"].append(file.size)
        columns["rows"].append(file.rows)
        columns["etag"].append(file.etag)
        columns["partition"].append(list(file.partition))
    return encode_table(pa.table(columns, schema=_FILES))


def decode_files(data: bytes) -> tuple[TableFile, ...]:
    """What ``encode_files`` was given."""
    columns = decode_table(data).to_pydict()
    return tuple(
        TableFile(uri=uri, size=size, rows=rows, etag=etag, partition=tuple(partition))
        for uri, size, rows, etag, partition in zip(
            *(columns[name] for name in _FILES.names), strict=True
        )
    )


def encode_table(table: pa.Table) -> bytes:
    """A table as one Arrow stream."""
    sink = pa.BufferOutputStream()
    options = pa.ipc.IpcWriteOptions(compression="zstd")
    with pa.ipc.new_stream(sink, table.schema, options=options) as writer:
        writer.write_table(table.combine_chunks())
    return bytes(sink.getvalue().to_pybytes())


def decode_table(data: bytes) -> pa.Table:
    """What ``encode_table`` was given."""
    with pa.ipc.open_stream(pa.py_buffer(data)) as reader:
        return reader.read_all()


def merge(manifests: Sequence[Manifest]) -> Manifest:
    """The files of all, in order. At least one is given, and all have the same columns."""
    files = tuple(file for manifest in manifests for file in manifest.files)
    tables: list[pa.Table] = []
    before = 0
    for manifest in manifests:
        if manifest.groups is None:
            return Manifest(files=files, groups=None)
        tables.append(_renumbered(manifest.groups, manifest.groups["file"].to_numpy() + before))
        before += len(manifest.files)
    return Manifest(files=files, groups=pa.concat_tables(tables))


def keep(manifest: Manifest, uris: Collection[str]) -> Manifest:
    """Only the files of ``uris``, in the order that they have."""
    places = [place for place, file in enumerate(manifest.files) if file.uri in uris]
    files = tuple(manifest.files[place] for place in places)
    if manifest.groups is None or len(places) == len(manifest.files):
        return Manifest(files=files, groups=manifest.groups)
    new = np.full(len(manifest.files), -1, dtype=np.int32)
    new[places] = np.arange(len(places), dtype=np.int32)
    numbers = new[manifest.groups["file"].to_numpy()]
    groups = _renumbered(manifest.groups, numbers).filter(pa.array(numbers >= 0))
    return Manifest(files=files, groups=groups)


def sort_files(manifest: Manifest) -> Manifest:
    """The same files by ascending address."""
    order = sorted(range(len(manifest.files)), key=lambda place: manifest.files[place].uri)
    files = tuple(manifest.files[place] for place in order)
    if manifest.groups is None:
        return Manifest(files=files, groups=None)
    new = np.empty(len(order), dtype=np.int32)
    new[order] = np.arange(len(order), dtype=np.int32)
    numbers = new[manifest.groups["file"].to_numpy()]
    by_file = np.argsort(numbers, kind="stable")
    groups = _renumbered(manifest.groups, numbers).take(pa.array(by_file))
    return Manifest(files=files, groups=groups)


def _renumbered(groups: pa.Table, numbers: Any) -> pa.Table:
    place = groups.schema.get_field_index("file")
    return groups.set_column(place, "file", pa.array(numbers, pa.int32()))
