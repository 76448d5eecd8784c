"""Footers of Parquet files: schema, row groups, and bounds that may be trusted.

The footer is read with one range of the file's tail (two if it is large) and parsed in memory, so
the cost is the same on a disk and in a bucket.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import BinaryIO

import pyarrow as pa
import pyarrow.parquet as pq

from storage.catalog.datatypes import TIMESTAMP, type_text
from storage.catalog.errors import UnknownTypeError
from storage.objects.api import ObjectInfo
from storage.tables.errors import CorruptFileError

#: Opens a listed file by its address and size.
Opener = Callable[[str, int], BinaryIO]

_TAIL = 64 << 10
_MAGIC = b"PAR1"
_ENCRYPTED = b"PARE"
_MOST_FOOTER = 1 << 30
_THREADS = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class FileColumn:
    """A top-level column of one file: its leaves are ``first_leaf`` and the following ones."""

    name: str
    type: str | UnknownTypeError  #: an error where no table can have this type
    first_leaf: int
    leaves: int
    nested: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Footer:
    """What a Parquet file says of itself.

    ``ordered`` tells that the writer declared the order behind min and max. Without it they come
    from fields of old writers, who compared strings and unsigned numbers as if they were signed.
    """

    uri: str
    metadata: pq.FileMetaData
    ordered: bool
    columns: tuple[FileColumn, ...]

    @property
    def rows(self) -> int:
        return int(self.metadata.num_rows)


def read_footers(open_file: Opener, files: Sequence[ObjectInfo]) -> list[Footer]:
    """The footers of ``files``, in their order; many are read at the same time.

    Raises ``CorruptFileError`` for the first file that is none, and what ``open_file`` raises.
    """
    if len(files) < 4:
        return [read_footer(open_file, file) for file in files]
    with ThreadPoolExecutor(_THREADS, thread_name_prefix="footers") as threads:
        return list(threads.map(lambda file: read_footer(open_file, file), files))


def read_footer(open_file: Opener, file: ObjectInfo) -> Footer:
    """The footer of one file; ``CorruptFileError`` if there is none."""
    with open_file(file.key, file.size) as source:
        raw = _footer_bytes(source, file)
    tail = len(raw).to_bytes(4, "little") + _MAGIC
    try:
        metadata = pq.read_metadata(pa.BufferReader(_MAGIC + raw + tail))
        columns = _columns(metadata)
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:  # of memory, not of a disk
        raise _corrupt(file, str(error).partition("\n")[0]) from error
    return Footer(
        uri=file.key,
        metadata=metadata,
        ordered=_declares_order(raw, metadata.num_columns),
        columns=columns,
    )


def _footer_bytes(source: BinaryIO, file: ObjectInfo) -> bytes:
    if file.size < 12:
        raise _corrupt(file, "it is too short")
    start = max(file.size - _TAIL, 0)
    source.seek(start)
    tail = source.read(file.size - start)
    if tail[-4:] == _ENCRYPTED:
        raise _corrupt(file, "it is encrypted")
    if tail[-4:] != _MAGIC or len(tail) != file.size - start:
        raise _corrupt(file, "it does not end as a Parquet file does")
    length = int.from_bytes(tail[-8:-4], "little")
    if length > min(file.size - 12, _MOST_FOOTER):
        raise _corrupt(file, "its footer is longer than the file")
    if length + 8 > len(tail):
        source.seek(file.size - length - 8)
        tail = source.read(length + 8)
        if len(tail) != length + 8:
            raise _corrupt(file, "it was changed while it was read")
    return tail[-8 - length : -8]


def _corrupt(file: ObjectInfo, reason: str) -> CorruptFileError:
    return CorruptFileError(
        f"{file.key} is not a readable Parquet file: {reason}",
        hint="write the file again, or take it out of the table's location",
        file=file.key,
    )


def _declares_order(raw: bytes, columns: int) -> bool:
    """Whether the footer ends with a column order of *type defined* for every column.

    Compact Thrift, parquet.thrift's ``FileMetaData`` field 7: a list of unions with the empty
    struct 1. An encrypted footer or a later field behind it makes this false, which is safe.
    """
    count = bytes([(columns << 4) | 0x0C]) if columns < 15 else b"\xfc" + _varint(columns)
    return raw.endswith(count + b"\x1c\x00\x00" * columns + b"\x00")


def _varint(number: int) -> bytes:
    done = bytearray()
    while number > 0x7F:
        done.append((number & 0x7F) | 0x80)
        number >>= 7
    done.append(number)
    return bytes(done)


def _columns(metadata: pq.FileMetaData) -> tuple[FileColumn, ...]:
    found: list[FileColumn] = []
    leaf = 0
    for field in metadata.schema.to_arrow_schema():
        leaves = _leaf_count(field.type)
        int96 = any(
            metadata.schema.column(leaf + number).physical_type == "INT96"
            for number in range(leaves)
        )
        found.append(
            FileColumn(
                name=field.name,
                type=_text(_without_int96(field.type) if int96 else field.type),
                first_leaf=leaf,
                leaves=leaves,
                nested=pa.types.is_nested(_storage(field.type)),
            )
        )
        leaf += leaves
    return tuple(found)


def _text(kind: pa.DataType) -> str | UnknownTypeError:
    try:
        return type_text(kind)
    except UnknownTypeError as error:
        return error


def _storage(kind: pa.DataType) -> pa.DataType:
    """``kind`` without dictionaries and extensions, which are only an encoding in Parquet."""
    if isinstance(kind, pa.BaseExtensionType):
        return _storage(kind.storage_type)
    if pa.types.is_dictionary(kind):
        return _storage(kind.value_type)
    return kind


def _leaf_count(kind: pa.DataType) -> int:
    kind = _storage(kind)
    if not pa.types.is_nested(kind):
        return 1
    return sum(_leaf_count(kind.field(number).type) for number in range(kind.num_fields))


def _without_int96(kind: pa.DataType) -> pa.DataType:
    """INT96 is read as nanoseconds without a zone; engines mean a moment by it."""
    if pa.types.is_timestamp(kind):
        return TIMESTAMP
    if pa.types.is_struct(kind):
        return pa.struct([field.with_type(_without_int96(field.type)) for field in kind])
    if pa.types.is_map(kind):
        return pa.map_(_without_int96(kind.key_type), _without_int96(kind.item_type))
    if pa.types.is_nested(kind):
        return pa.list_(_without_int96(kind.value_type))
    return kind
