"""Columns as text, computed column by column and never value by value where Arrow can.

``plain_texts`` is what a person reads in a cell, ``json_texts`` a JSON value. Both keep NULL as
NULL. Decimals and integers of 64 bits are JSON strings, as most JSON readers would round them; so
are NaN and the infinities, which JSON does not have.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from decimal import Decimal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

_MUST_ESCAPE = {ord('"'), ord("\\"), *range(0x20)}


def plain_texts(column: pa.Array) -> pa.Array:
    """One text a value: ISO 8601 for times (``Z`` is UTC), base64 for binary, JSON for nested."""
    kind, types = column.type, pa.types
    if types.is_string(kind):
        return column
    if types.is_binary(kind):
        encoded = [None if v is None else base64.b64encode(v).decode() for v in column.to_pylist()]
        return pa.array(encoded, pa.string())
    if types.is_nested(kind):
        return json_texts(column)
    texts = column.cast(pa.string())
    if types.is_decimal(kind):
        return _without_exponents(texts)
    if types.is_timestamp(kind):
        return pc.replace_substring(_whole_seconds(texts), " ", "T", max_replacements=1)
    if types.is_time(kind):
        return _whole_seconds(texts)
    if types.is_floating(kind):
        return _float_texts(column, texts)
    return texts


def json_texts(column: pa.Array) -> pa.Array:
    """One JSON value a value; NULL stays NULL and is not the text ``null``."""
    kind, types = column.type, pa.types
    if types.is_struct(kind):
        return _struct_texts(column)
    if types.is_map(kind):
        return _map_texts(column)
    if types.is_list(kind):
        values = column.values
        return _wrapped("[", _joined(column, lambda at, n: _shown(values.slice(at, n))), "]")
    texts = plain_texts(column)
    if types.is_string(kind):
        return _quoted(texts)
    if types.is_floating(kind):
        if all_finite(column):
            return texts
        return pc.if_else(pc.is_finite(column), texts, _wrapped('"', texts, '"'))
    if types.is_boolean(kind) or types.is_null(kind):
        return texts
    if types.is_integer(kind) and kind.bit_width < 64:
        return texts
    return _wrapped('"', texts, '"')


def joined(columns: list[pa.Array], separator: str, null: str, rows: int) -> pa.Array:
    """One text a row: the columns' texts side by side, ``null`` for NULL."""
    if not columns:
        return pa.array([""] * rows, pa.string())
    return pc.binary_join_element_wise(
        *columns, separator, null_handling="replace", null_replacement=null
    )


def _without_exponents(texts: pa.Array) -> pa.Array:
    """Arrow writes small decimals as ``1E-9``."""
    if not pc.any(pc.match_substring(texts, "E")).as_py():
        return texts
    return pa.array(
        [None if text is None else f"{Decimal(text):f}" for text in texts.to_pylist()], pa.string()
    )


def _whole_seconds(texts: pa.Array) -> pa.Array:
    """Times have either no fraction or six digits of it."""
    return pc.replace_substring(texts, ".000000", "")


def _float_texts(column: pa.Array, texts: pa.Array) -> pa.Array:
    """The shortest digits that give the same number, and ``1.0`` rather than ``1``."""
    whole = pc.equal(pc.trunc(column), column)
    if pc.any(whole).as_py():
        plain = pc.and_not(whole, pc.match_substring(texts, "e"))
        texts = pc.if_else(plain, _wrapped("", texts, ".0"), texts)
    if all_finite(column):
        return texts
    infinite = pc.if_else(pc.greater(column, 0.0), "Infinity", "-Infinity")
    named = pc.if_else(pc.is_nan(column), "NaN", infinite)
    return pc.if_else(pc.is_finite(column), texts, named)


def all_finite(column: pa.Array) -> bool:
    """No NaN and no infinity; NULLs do not count."""
    return bool(pc.all(pc.is_finite(column), min_count=0).as_py())


def characters(texts: pa.Array) -> set[int]:
    """The bytes below 128 that occur anywhere in the texts; many times faster than a pattern."""
    _, offsets, data = texts.buffers()
    if data is None or not len(texts):
        return set()
    bounds = np.frombuffer(offsets, np.int32)
    start, end = bounds[texts.offset], bounds[texts.offset + len(texts)]
    counts = np.bincount(np.frombuffer(data, np.uint8)[start:end], minlength=256)
    return set(np.flatnonzero(counts[:128]).tolist())


def _quoted(texts: pa.Array) -> pa.Array:
    if not _MUST_ESCAPE & characters(texts):
        return _wrapped('"', texts, '"')
    encode = json.JSONEncoder(ensure_ascii=False).encode
    return pa.array([None if v is None else encode(v) for v in texts.to_pylist()], pa.string())


def _wrapped(before: str, texts: pa.Array, after: str) -> pa.Array:
    return pc.binary_join_element_wise(before, texts, after, "")


def _joined(column: pa.Array, entries: Callable[[int, int], pa.Array]) -> pa.Array:
    """The texts of the entries of each list of ``column``, with commas; NULL for a NULL list.

    ``entries`` gives the texts of so many entries from a start, for a slice needs only its own.
    """
    offsets = column.offsets
    start, end = offsets[0].as_py(), offsets[-1].as_py()
    lists = pa.ListArray.from_arrays(
        pc.subtract(offsets, start), entries(start, end - start), mask=column.is_null()
    )
    return pc.binary_join(lists, ",")


def _struct_texts(column: pa.Array) -> pa.Array:
    names = [column.type.field(index).name for index in range(column.type.num_fields)]
    members = [
        _wrapped(f"{json.dumps(name, ensure_ascii=False)}:", _shown(column.field(index)), "")
        for index, name in enumerate(names)
    ]
    whole = _wrapped("{", joined(members, ",", "null", len(column)), "}")
    return pc.if_else(column.is_valid(), whole, pa.scalar(None, pa.string()))


def _map_texts(column: pa.Array) -> pa.Array:
    """A JSON object; keys of any type become strings, and stay in their order."""

    def entries(start: int, count: int) -> pa.Array:
        keys = _quoted(plain_texts(column.keys.slice(start, count)))
        return pc.binary_join_element_wise(keys, _shown(column.items.slice(start, count)), ":")

    return _wrapped("{", _joined(column, entries), "}")


def _shown(column: pa.Array) -> pa.Array:
    return pc.fill_null(json_texts(column), "null")
