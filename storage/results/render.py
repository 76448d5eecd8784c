"""A result as bytes in the formats that a client may ask for, in constant memory.

Each function takes batches of a normal schema (``storage.results.types``) and gives the bytes piece
by piece; nothing is read before the first piece is asked for.
"""

from __future__ import annotations

import io
import json
from collections.abc import Iterable, Iterator
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from storage.base.errors import InvalidInputError
from storage.results.texts import characters, joined, json_texts, plain_texts
from storage.results.types import sql_type

_SLICE_BYTES = 1 << 20  #: of rows that are turned into text at a time
_GROUP_BYTES = 32 << 20  #: of rows of one Parquet row group
_FEW = 16  #: rows that Python joins faster than Arrow starts to
_MUST_QUOTE = frozenset(b'",\r\n')


class ResultFormatError(InvalidInputError):
    """The result has a column that the format cannot hold."""

    code = "result_format_unsuitable"


def schema_json(schema: pa.Schema) -> list[dict[str, Any]]:
    """The columns in order, as ``{"name", "type", "nullable"}`` with Spark's DDL type."""
    return [
        {"name": field.name, "type": sql_type(field), "nullable": field.nullable}
        for field in schema
    ]


def json_rows(batch: pa.RecordBatch) -> bytes:
    """The rows as JSON arrays with commas between; empty for no rows."""
    if not batch.num_rows:
        return b""
    columns = [json_texts(column) for column in batch.columns]
    if batch.num_rows <= _FEW and columns:
        cells = zip(*(column.to_pylist() for column in columns), strict=True)
        lines = (",".join("null" if text is None else text for text in row) for row in cells)
        return b"[" + "],\n[".join(lines).encode() + b"]"
    rows = joined(columns, ",", "null", batch.num_rows)
    return b"[" + _all(rows, "],\n[") + b"]"


def render_json(schema: pa.Schema, batches: Iterable[pa.RecordBatch]) -> Iterator[bytes]:
    """One object: ``{"schema": […], "rows": [[…], …]}``, a row being an array."""
    columns = json.dumps(schema_json(schema), ensure_ascii=False, separators=(",", ":"))
    yield f'{{"schema":{columns},"rows":['.encode()
    first = True
    for batch in _slices(batches):
        yield (b"" if first else b",\n") + json_rows(batch)
        first = False
    yield b"]}\n"


def render_csv(schema: pa.Schema, batches: Iterable[pa.RecordBatch]) -> Iterator[bytes]:
    """A header, then a line a row. NULL is nothing at all and an empty text is ``""``."""
    header = pa.array([field.name for field in schema], pa.string())
    yield (",".join(_csv_quoted(header).to_pylist()) + "\n").encode()
    for batch in _slices(batches):
        columns = [_csv_texts(column) for column in batch.columns]
        yield _all(joined(columns, ",", "", batch.num_rows), "\n") + b"\n"


def render_arrow_stream(
    schema: pa.Schema, batches: Iterable[pa.RecordBatch], *, compression: str | None = "zstd"
) -> Iterator[bytes]:
    """An Arrow IPC stream; it has a schema and an end also without rows."""
    sink = _Sink()
    options = pa.ipc.IpcWriteOptions(compression=compression)
    with pa.ipc.new_stream(sink, schema, options=options) as writer:
        for batch in batches:
            writer.write_batch(batch)
            yield sink.take()
    yield sink.take()


def render_parquet(schema: pa.Schema, batches: Iterable[pa.RecordBatch]) -> Iterator[bytes]:
    """A Parquet file (zstd). Names that occur twice get a number, as most readers need them apart.

    Raises ``ResultFormatError`` for a struct without fields, which Parquet does not have.
    """
    unique = _unique_schema(schema)
    sink = _Sink()
    try:
        writer = pq.ParquetWriter(sink, unique, compression="zstd", compression_level=1)
    except pa.ArrowNotImplementedError as error:
        raise ResultFormatError(str(error), hint="ask for JSON or Arrow instead") from error
    with writer:
        for group in _groups(batches):
            table = pa.Table.from_arrays(pa.Table.from_batches(group).columns, schema=unique)
            if table.num_rows:
                writer.write_table(table, row_group_size=table.num_rows)
            yield sink.take()
    yield sink.take()


class _Sink(io.RawIOBase):
    """Keeps what is written until it is taken."""

    def __init__(self) -> None:
        super().__init__()
        self._parts: list[bytes] = []
        self._at = 0

    def writable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def write(self, data: Any) -> int:
        part = bytes(data)
        self._parts.append(part)
        self._at += len(part)
        return len(part)

    def take(self) -> bytes:
        taken, self._parts = b"".join(self._parts), []
        return taken


def _slices(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """The same rows in pieces of about a megabyte; pieces without rows are left out."""
    for batch in batches:
        if not batch.num_rows:
            continue
        pieces = min(max(batch.nbytes // _SLICE_BYTES, 1), batch.num_rows)
        step = -(-batch.num_rows // pieces)
        for start in range(0, batch.num_rows, step):
            yield batch.slice(start, step)


def _groups(batches: Iterable[pa.RecordBatch]) -> Iterator[list[pa.RecordBatch]]:
    group: list[pa.RecordBatch] = []
    size = 0
    for batch in batches:
        group.append(batch)
        size += batch.nbytes
        if size >= _GROUP_BYTES:
            yield group
            group, size = [], 0
    if group:
        yield group


def _all(rows: pa.Array, separator: str) -> bytes:
    """All texts as one, in UTF-8."""
    offsets = pa.array([0, len(rows)], pa.int32())
    whole = pc.binary_join(pa.ListArray.from_arrays(offsets, rows), separator)[0]
    return bytes(whole.as_buffer().to_pybytes())


def _csv_texts(column: pa.Array) -> pa.Array:
    texts = plain_texts(column)
    types = pa.types
    if types.is_string(column.type) or types.is_binary(column.type) or types.is_nested(column.type):
        return _csv_quoted(texts)
    return texts


def _csv_quoted(texts: pa.Array) -> pa.Array:
    """Quoted where needed; so is the empty text, to be told from NULL."""
    needed = pc.equal(pc.binary_length(texts), 0)
    if _MUST_QUOTE & characters(texts):
        needed = pc.or_(needed, pc.match_substring_regex(texts, r'[",\r\n]'))
    elif not pc.any(needed).as_py():
        return texts
    doubled = pc.replace_substring(texts, '"', '""')
    return pc.if_else(needed, pc.binary_join_element_wise('"', doubled, '"', ""), texts)


def _unique_schema(schema: pa.Schema) -> pa.Schema:
    """Unique names, and all may be NULL: an engine's promise about NULLs may be broken."""
    taken = {field.name for field in schema}
    seen: set[str] = set()
    fields = []
    for field in schema:
        name, number = field.name, 1
        while name in seen or (number > 1 and name in taken):
            number += 1
            name = f"{field.name}_{number}"
        seen.add(name)
        fields.append(field.with_name(name).with_nullable(True))
    return pa.schema(fields)
