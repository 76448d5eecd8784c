"""One set of types for all results, whatever engine made them.

Engines differ in how they put the same SQL type into Arrow: large or view strings, dictionaries,
decimals of 256 bits, unsigned integers, ``item`` or ``element`` in lists, zones of timestamps,
intervals. What is kept has one form a SQL type, which Parquet can hold too.
"""

from __future__ import annotations

import re
from collections.abc import Callable

import pyarrow as pa
import pyarrow.compute as pc

from storage.base.errors import InvalidInputError
from storage.results.intervals import interval_kind, interval_texts, readable

#: Metadata of a field whose SQL type is not to be seen from its Arrow type.
SQL_TYPE = b"dli.sql_type"

_UNSIGNED = {
    pa.uint8(): pa.int16(),
    pa.uint16(): pa.int32(),
    pa.uint32(): pa.int64(),
    pa.uint64(): pa.decimal128(20, 0),
}
_SIMPLE = {
    pa.null(): "void",
    pa.bool_(): "boolean",
    pa.int8(): "tinyint",
    pa.int16(): "smallint",
    pa.int32(): "int",
    pa.int64(): "bigint",
    pa.float32(): "float",
    pa.float64(): "double",
    pa.string(): "string",
    pa.binary(): "binary",
    pa.date32(): "date",
    pa.time64("us"): "time(6)",
    pa.timestamp("us", "UTC"): "timestamp",
    pa.timestamp("us"): "timestamp_ntz",
}
_PLAIN_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_MOST_DIGITS = 38


class UnsupportedResultTypeError(InvalidInputError):
    """A column of a type that no result can hold."""

    code = "unsupported_result_type"


class ResultValueError(InvalidInputError):
    """A value that does not fit the type of its column."""

    code = "result_value_out_of_range"


def normal_field(field: pa.Field) -> pa.Field:
    """The field as results have it; nested fields may always be NULL, as may all of type void."""
    kind = normal_type(field.type, field.name)
    sql = interval_kind(field.type)
    metadata = {SQL_TYPE: sql.encode()} if sql else _kept(field)
    nullable = field.nullable or pa.types.is_null(kind)  # an empty array's element is not, to both
    return pa.field(field.name, kind, nullable, metadata)


def _kept(field: pa.Field) -> dict[bytes, bytes] | None:
    """The SQL type, if it is known already; normalising twice is the same as once."""
    known = (field.metadata or {}).get(SQL_TYPE)
    return {SQL_TYPE: known} if known and pa.types.is_string(field.type) else None


def normal_schema(schema: pa.Schema) -> pa.Schema:
    """The schema as results have it, without foreign metadata.

    Raises ``UnsupportedResultTypeError``.
    """
    return pa.schema([normal_field(field) for field in schema])


def normal_type(kind: pa.DataType, column: str = "") -> pa.DataType:
    """The one form of a type. Raises ``UnsupportedResultTypeError``, naming the column."""
    types = pa.types
    if kind in _SIMPLE:
        return kind
    if kind in _UNSIGNED:
        return _UNSIGNED[kind]
    if interval_kind(kind) or types.is_large_string(kind) or types.is_string_view(kind):
        return pa.string()
    if types.is_decimal(kind):
        return _normal_decimal(kind)
    if types.is_timestamp(kind):
        return pa.timestamp("us", "UTC" if kind.tz else None)
    if (
        types.is_large_binary(kind)
        or types.is_fixed_size_binary(kind)
        or types.is_binary_view(kind)
    ):
        return pa.binary()
    if types.is_float16(kind):
        return pa.float32()
    if types.is_date64(kind):
        return pa.date32()
    if types.is_time(kind):
        return pa.time64("us")
    if types.is_dictionary(kind) or types.is_run_end_encoded(kind):
        return normal_type(kind.value_type, column)
    if isinstance(kind, pa.BaseExtensionType):
        return normal_type(kind.storage_type, column)
    if types.is_map(kind):
        key, item = normal_type(kind.key_type, column), normal_field(kind.item_field)
        key = pa.string() if types.is_null(key) else key  # map(): pyarrow has no keys without type
        return pa.map_(pa.field("key", key, nullable=False), _nested("value", item))
    if types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind):
        return pa.list_(_nested("element", normal_field(kind.value_field)))
    if types.is_struct(kind):
        fields = [normal_field(kind.field(index)) for index in range(kind.num_fields)]
        return pa.struct([_nested(field.name, field) for field in fields])
    raise UnsupportedResultTypeError(
        f"column {column} has the type {kind}, which a result cannot hold",
        hint="cast it to another type, such as string",
        column_name=column,
    )


def _nested(name: str, field: pa.Field) -> pa.Field:
    return field.with_name(name).with_nullable(True)


def _normal_decimal(kind: pa.DataType) -> pa.DataType:
    scale = max(kind.scale, 0)
    precision = kind.precision + max(-kind.scale, 0)
    return pa.decimal128(min(precision, _MOST_DIGITS), min(scale, _MOST_DIGITS))


def sql_type(field: pa.Field) -> str:
    """The Spark DDL type of a normal field, in lower case: ``array<decimal(10,2)>``."""
    known = (field.metadata or {}).get(SQL_TYPE)
    if known:
        return str(known.decode())
    kind = field.type
    if kind in _SIMPLE:
        return _SIMPLE[kind]
    if pa.types.is_decimal(kind):
        return f"decimal({kind.precision},{kind.scale})"
    if pa.types.is_map(kind):
        return f"map<{sql_type(kind.key_field)},{sql_type(kind.item_field)}>"
    if pa.types.is_list(kind):
        return f"array<{sql_type(kind.value_field)}>"
    if pa.types.is_struct(kind):
        fields = [kind.field(index) for index in range(kind.num_fields)]
        return f"struct<{','.join(f'{_quoted(f.name)}:{sql_type(f)}' for f in fields)}>"
    raise ValueError(f"{kind} is not a normal type")


def _quoted(name: str) -> str:
    return name if _PLAIN_NAME.fullmatch(name) else f"`{name.replace('`', '``')}`"


def normalise(batch: pa.RecordBatch, schema: pa.Schema) -> pa.RecordBatch:
    """``batch`` with the columns of ``schema``, a normal one.

    Costs nothing for columns that are normal already. Digits below a microsecond are cut off.
    Raises ``ResultValueError`` for values that do not fit.
    """
    if batch.num_columns != len(schema):
        raise ResultValueError(f"{batch.num_columns} columns instead of {len(schema)}")
    columns = []
    given = [field.type for field in batch.schema]
    for field, column, kind in zip(schema, readable(batch).columns, given, strict=True):
        try:
            columns.append(_convert(column, kind, field.type))
        except pa.ArrowException as error:
            raise ResultValueError(
                f"a value of column {field.name} does not fit {sql_type(field)}",
                hint="cast the column to another type",
                column_name=field.name,
            ) from error
    if not columns:  # a row without columns is still a row
        return pa.RecordBatch.from_struct_array(pa.array([{}] * batch.num_rows, pa.struct([])))
    return pa.RecordBatch.from_arrays(columns, schema=schema)


def _convert(array: pa.Array, given: pa.DataType, kind: pa.DataType) -> pa.Array:
    """``array`` as ``kind``; its type was ``given`` before it was made readable."""
    if given.equals(kind, check_metadata=True):  # plain == overlooks the names in lists
        return array
    if isinstance(given, pa.BaseExtensionType):
        return _convert(array.storage, given.storage_type, kind)
    if pa.types.is_run_end_encoded(given):
        return _convert(pc.run_end_decode(array), given.value_type, kind)
    if interval_kind(given):
        return interval_texts(array, given)
    if _is_fine(given):
        return array.cast(kind, safe=False)  # cuts digits off, and nothing else can be lost
    if _holds(given, lambda inner: _is_fine(inner) or interval_kind(inner) is not None):
        return _rebuilt(array, given, kind)
    return array.cast(kind)


def _is_fine(kind: pa.DataType) -> bool:
    """Whether values may have digits below those of the normal type."""
    if pa.types.is_timestamp(kind) or pa.types.is_time64(kind):
        return bool(kind.unit == "ns")
    return bool(pa.types.is_date64(kind))


def _holds(kind: pa.DataType, found: Callable[[pa.DataType], bool]) -> bool:
    return found(kind) or any(
        _holds(kind.field(index).type, found) for index in range(kind.num_fields)
    )


def _rebuilt(array: pa.Array, given: pa.DataType, kind: pa.DataType) -> pa.Array:
    """A nested array with its leaves converted one by one, as casts know no intervals."""
    if pa.types.is_struct(given):
        fields = [kind.field(index) for index in range(kind.num_fields)]
        children = [
            _convert(array.field(index), given.field(index).type, field.type)
            for index, field in enumerate(fields)
        ]
        return pa.StructArray.from_arrays(children, fields=fields, mask=array.is_null())
    if pa.types.is_map(given):
        entries = kind.field(0).type
        keys = _convert(array.keys, given.key_type, kind.key_type)
        items = _convert(array.items, given.item_type, kind.item_type)
        inner = pa.StructArray.from_arrays(
            [keys, items], fields=[entries.field(0), entries.field(1)]
        )
    else:
        if not pa.types.is_list(array.type):
            array = array.cast(pa.list_(array.type.value_field))
        inner = _convert(array.values, given.value_type, kind.value_type)
    return pa.Array.from_buffers(
        kind, len(array), array.buffers()[:2], array.null_count, array.offset, [inner]
    )
