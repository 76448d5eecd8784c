"""Spans of time in results, as text: Parquet has no type for them, and few Arrow readers do.

The texts are those that Spark itself shows.
"""

from __future__ import annotations

import ctypes
import struct
from collections.abc import Callable
from typing import Any

import pyarrow as pa

YEAR_MONTH = "interval year to month"
DAY_TIME = "interval day to second"
CALENDAR = "interval"
_MICROS_A_DAY = 86_400_000_000

#: Arrow's own ids; pyarrow has no class for the first two, and cannot show their values.
_KINDS = {
    pa.lib.Type_INTERVAL_MONTHS: YEAR_MONTH,
    pa.lib.Type_INTERVAL_DAY_TIME: DAY_TIME,
    pa.lib.Type_DURATION: DAY_TIME,
    pa.lib.Type_INTERVAL_MONTH_DAY_NANO: CALENDAR,
}


def interval_kind(kind: pa.DataType) -> str | None:
    """Spark's name of an interval type, None for every other type."""
    return _KINDS.get(kind.id)


def readable(batch: pa.RecordBatch) -> pa.RecordBatch:
    """The batch with the types that pyarrow has no class for replaced by integers as wide.

    Without this the mere look at such a column is a ``KeyError``. Goes through Arrow's C interface,
    where a type is a short text; nothing is copied.
    """
    if not any(_is_foreign(field.type) for field in batch.schema):
        return batch
    array, schema = ctypes.create_string_buffer(_C_ARRAY_BYTES), _CSchema()
    batch._export_to_c(ctypes.addressof(array), ctypes.addressof(schema))
    _retype(schema)
    return pa.RecordBatch._import_from_c(ctypes.addressof(array), ctypes.addressof(schema))


def _is_foreign(kind: pa.DataType) -> bool:
    return kind.id in {pa.lib.Type_INTERVAL_MONTHS, pa.lib.Type_INTERVAL_DAY_TIME} or any(
        _is_foreign(kind.field(index).type) for index in range(kind.num_fields)
    )


def interval_texts(array: pa.Array, kind: pa.DataType) -> pa.Array:
    """Values as Spark shows them, such as ``INTERVAL '1-2' YEAR TO MONTH``.

    ``kind`` is the type before ``readable``.
    """
    make: Callable[[Any], str]
    if kind.id == pa.lib.Type_INTERVAL_MONTHS:
        make = _year_month
    elif kind.id == pa.lib.Type_INTERVAL_DAY_TIME:
        make = _packed_day_time
    elif kind.id == pa.lib.Type_DURATION:
        array, make = array.cast(pa.duration("us"), safe=False).cast(pa.int64()), _day_time
    else:
        make = _calendar
    texts = [None if value is None else make(value) for value in array.to_pylist()]
    return pa.array(texts, pa.string())


class _CSchema(ctypes.Structure):
    """``struct ArrowSchema`` of https://arrow.apache.org/docs/format/CDataInterface.html."""


_CSchema._fields_ = [
    ("format", ctypes.c_char_p),
    ("name", ctypes.c_char_p),
    ("metadata", ctypes.c_char_p),
    ("flags", ctypes.c_int64),
    ("n_children", ctypes.c_int64),
    ("children", ctypes.POINTER(ctypes.POINTER(_CSchema))),
    ("dictionary", ctypes.POINTER(_CSchema)),
    ("release", ctypes.c_void_p),
    ("private_data", ctypes.c_void_p),
]
_C_ARRAY_BYTES = 80  # of struct ArrowArray
_INTEGERS = {b"tiM": b"i", b"tiD": b"l"}  # months: 32 bits; days and milliseconds: 32 bits each


def _retype(schema: _CSchema) -> None:
    schema.format = _INTEGERS.get(schema.format, schema.format)
    for index in range(schema.n_children):
        _retype(schema.children[index].contents)


def _year_month(months: int) -> str:
    years, rest = divmod(abs(months), 12)
    return f"INTERVAL '{'-' if months < 0 else ''}{years}-{rest}' YEAR TO MONTH"


def _day_time(micros: int) -> str:
    days, rest = divmod(abs(micros), _MICROS_A_DAY)
    sign = "-" if micros < 0 else ""
    return f"INTERVAL '{sign}{days} {_clock(rest)}' DAY TO SECOND"


def _packed_day_time(packed: int) -> str:
    days, millis = struct.unpack("=ii", struct.pack("=q", packed))
    return _day_time(days * _MICROS_A_DAY + millis * 1000)


def _clock(micros: int) -> str:
    seconds, fraction = divmod(micros, 1_000_000)
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    tail = f".{fraction:06}".rstrip("0") if fraction else ""
    return f"{hours:02}:{minutes:02}:{seconds:02}{tail}"


def _calendar(value: tuple[int, int, int]) -> str:
    """The three parts are independent, each with its own sign; parts of zero are left out."""
    months, days, nanos = value
    sign = "-" if nanos < 0 else ""
    seconds, fraction = divmod(abs(nanos) // 1000, 1_000_000)
    tail = f".{fraction:06}".rstrip("0") if fraction else ""
    parts = [
        f"{_truncated(months, 12)} years" if abs(months) >= 12 else "",
        f"{months - 12 * _truncated(months, 12)} months" if months % 12 else "",
        f"{days} days" if days else "",
        f"{sign}{seconds // 3600} hours" if seconds >= 3600 else "",
        f"{sign}{seconds // 60 % 60} minutes" if seconds // 60 % 60 else "",
        f"{sign}{seconds % 60}{tail} seconds" if seconds % 60 or fraction else "",
    ]
    return " ".join(filter(None, parts)) or "0 seconds"


def _truncated(value: int, divisor: int) -> int:
    return abs(value) // divisor * (-1 if value < 0 else 1)
