"""The columns of CSV and JSON files, from the beginning of some of them.

Only samples are read, so a later row may not fit; whoever needs certainty gives the columns.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping, Sequence

import pyarrow as pa
import pyarrow.csv
import pyarrow.json

from storage.catalog.datatypes import is_list, type_text
from storage.catalog.definitions import Column, TableFormat
from storage.objects.api import ObjectInfo
from storage.tables.errors import CorruptFileError
from storage.tables.filetypes import widen
from storage.tables.formats.parquet import Opener

_SAMPLE = 4 << 20  # bytes, after decompression
_SAMPLED_FILES = 4
_COMPRESSIONS = {".gz": "gzip", ".bz2": "bz2", ".zst": "zstd", ".lz4": "lz4"}


def infer_columns(
    kind: TableFormat,
    open_file: Opener,
    files: Sequence[ObjectInfo],
    options: Mapping[str, str],
) -> tuple[Column, ...]:
    """Columns of the first few files, in the order of their appearance.

    A type that two files do not share becomes ``string``, as does a column without any value.
    Raises ``CorruptFileError`` for a file that is not of the format.
    """
    sample = _SAMPLES[kind]
    found: dict[str, tuple[str, str]] = {}
    for file in files[:_SAMPLED_FILES]:
        try:
            schema = sample(_beginning(open_file, file), options)
            fields = [(field.name, field.type) for field in schema]
        except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
            reason = str(error).partition("\n")[0]
            raise CorruptFileError(
                f"{file.key} cannot be read as {kind}: {reason}",
                hint="check the format and its options, such as header and sep",
                file=file.key,
            ) from error
        for given, arrow in fields:
            text = type_text(_kept(arrow))
            name, before = found.get(given.lower(), (given, "void"))
            found[given.lower()] = (name, widen(before, text) or "string")
    return tuple(
        Column(name=name, type="string" if text == "void" else text)
        for name, text in found.values()
    )


def _beginning(open_file: Opener, file: ObjectInfo) -> bytes:
    """The first whole lines of a file, decompressed."""
    suffix = file.key[file.key.rfind(".") :].lower()
    with open_file(file.key, file.size) as source:
        if suffix in _COMPRESSIONS:
            stream = pa.CompressedInputStream(pa.PythonFile(source), _COMPRESSIONS[suffix])
            data = bytes(stream.read(_SAMPLE + 1))
        else:
            data = source.read(_SAMPLE + 1)
    if len(data) <= _SAMPLE:
        return data
    end = data.rfind(b"\n", 0, _SAMPLE)
    return data[: end + 1] if end >= 0 else data


def _sample_csv(data: bytes, options: Mapping[str, str]) -> pa.Schema:
    header = options.get("header") == "true"
    quote = options.get("quote", '"')
    escape = options.get("escape", quote)
    comment = options.get("comment")
    if comment:
        data = b"\n".join(
            line for line in data.split(b"\n") if not line.startswith(comment.encode())
        )
    if not data.strip():
        return pa.schema([])
    table = pyarrow.csv.read_csv(
        io.BytesIO(data),
        read_options=pyarrow.csv.ReadOptions(
            block_size=len(data) + 1, autogenerate_column_names=not header, use_threads=False
        ),
        parse_options=pyarrow.csv.ParseOptions(
            delimiter=options.get("sep", ","),
            quote_char=quote or False,
            double_quote=True,
            escape_char=escape if escape and escape != quote else False,
            newlines_in_values=options.get("multiLine") == "true",
            invalid_row_handler=lambda row: "skip",
        ),
        convert_options=pyarrow.csv.ConvertOptions(
            null_values=["", options.get("nullValue", "")],
            strings_can_be_null=True,
            true_values=["true", "True", "TRUE"],
            false_values=["false", "False", "FALSE"],
        ),
    )
    if header:
        return table.schema
    return pa.schema([field.with_name(f"_c{place}") for place, field in enumerate(table.schema)])


def _sample_json(data: bytes, options: Mapping[str, str]) -> pa.Schema:
    if not data.strip():
        return pa.schema([])
    read = pyarrow.json.ReadOptions(block_size=len(data) + 1, use_threads=False)
    return pyarrow.json.read_json(io.BytesIO(data), read_options=read).schema


_SAMPLES: dict[TableFormat, Callable[[bytes, Mapping[str, str]], pa.Schema]] = {
    TableFormat.CSV: _sample_csv,
    TableFormat.JSON: _sample_json,
}


def _kept(kind: pa.DataType) -> pa.DataType:
    """The type that engines surely parse from text; text that is not UTF-8 is text still."""
    if pa.types.is_timestamp(kind):
        return pa.timestamp("us", tz="UTC")
    if pa.types.is_time(kind) or pa.types.is_binary(kind):
        return pa.string()
    if pa.types.is_struct(kind):
        return pa.struct([pa.field(one.name, _inner(one.type)) for one in kind])
    if is_list(kind):
        return pa.list_(_inner(kind.value_type))
    return kind


def _inner(kind: pa.DataType) -> pa.DataType:
    kept = _kept(kind)
    return pa.string() if pa.types.is_null(kept) else kept
