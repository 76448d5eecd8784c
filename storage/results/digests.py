"""A digest of the rows of a result, the same whatever their order and however they are cut.

Two results with equal digests have the same columns and the same rows, each as often, but for a
chance of 2^-128. How a value is hashed follows from its type in Arrow, so equal digests need equal
columns, by name and type:

* every value becomes two numbers of 64 bits, each mixed by the end of splitmix64 (Steele, Lea and
  Flood, 2014) under a seed of its own; NULL is a value of its own,
* integers, booleans, dates and times are their number, decimals their unscaled number, texts and
  bytes their BLAKE2b; -0.0 is 0.0, and NaN is one value,
* a list is its length and the sum of its items, each mixed with its place; a struct is its fields
  in order; a map the sum of its entries, whose order means nothing,
* a row is its cells in order; the result is the sum of its rows, modulo 2^64 in both numbers.

Sums, unlike exclusive ors, tell a row that is there twice from one that is there four times.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

Words = npt.NDArray[np.uint64]  # of n values: n by 2

_SEEDS = np.array([0x9E3779B97F4A7C15, 0xD1B54A32D192ED03], dtype=np.uint64)
_FIRST, _SECOND = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)  # of splitmix64
_NULL, _ROW, _LIST, _MAP, _STRUCT, _BYTES = (np.uint64(number) for number in range(1, 7))
#: Binary digits that are kept of a floating value, when it is rounded: about six decimal ones of a
#: double, four of a float, which has seven to begin with.
_DIGITS = {pa.float64(): 20, pa.float32(): 13}
#: What sums leave where nothing should be: below it a rounded value is 0.
_NOTHING = 1e-12


@dataclass(frozen=True, slots=True, kw_only=True)
class Digest:
    """``rounded`` is as ``exact``, but that floating values are rounded to six decimal digits
    (floats to four), those within 1e-12 of zero to zero. Both are hexadecimal."""

    columns: str  #: of names and types
    rows: int
    exact: str
    rounded: str


class Digester:
    """Takes the batches of one result, which have the types of ``storage.results.types``."""

    def __init__(self, schema: pa.Schema) -> None:
        self._schema = schema
        self.rows = 0
        self._sums = {rounded: np.zeros(2, dtype=np.uint64) for rounded in (False, True)}
        self._floats = any(_has_floats(field.type) for field in schema)

    def add(self, batch: pa.RecordBatch) -> None:
        """Count these rows in."""
        self.rows += batch.num_rows
        for rounded, total in self._sums.items():
            if self._floats or not rounded:
                total += _rows(batch, rounded=rounded).sum(axis=0, dtype=np.uint64)

    def digest(self) -> Digest:
        """Of all rows so far."""
        exact = _hex(self._sums[False])
        return Digest(
            columns=_of_columns(self._schema),
            rows=self.rows,
            exact=exact,
            rounded=_hex(self._sums[True]) if self._floats else exact,
        )


def digest_of(schema: pa.Schema, batches: Iterable[pa.RecordBatch]) -> Digest:
    """The digest of a whole result."""
    digester = Digester(schema)
    for batch in batches:
        digester.add(batch)
    return digester.digest()


def _of_columns(schema: pa.Schema) -> str:
    """Whether a column may be NULL is left out: engines guess it."""
    told = "\n".join(f"{field.name}\0{_told(field.type)}" for field in schema)
    return hashlib.blake2b(told.encode(), digest_size=16).hexdigest()


def _told(kind: pa.DataType) -> str:
    """A type as text, without what engines call the items of lists and whether they may be NULL."""
    if pa.types.is_map(kind):
        return f"map<{_told(kind.key_type)},{_told(kind.item_type)}>"
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        return f"list<{_told(kind.value_type)}>"
    if pa.types.is_struct(kind):
        return "struct<" + ",".join(f"{each.name}:{_told(each.type)}" for each in kind) + ">"
    return str(kind)


def _has_floats(kind: pa.DataType) -> bool:
    if pa.types.is_nested(kind):
        return any(_has_floats(kind.field(place).type) for place in range(kind.num_fields))
    return kind in _DIGITS


def _hex(words: Words) -> str:
    return "".join(f"{int(word):016x}" for word in words)


def _rows(batch: pa.RecordBatch, *, rounded: bool) -> Words:
    rows = _constant(batch.num_rows, _ROW)
    for column in batch.columns:
        rows = _joined(rows, _cells(column, rounded=rounded))
    return rows


def _cells(array: pa.Array, *, rounded: bool) -> Words:
    words = _values(array, rounded=rounded)
    if array.null_count:
        words[array.is_null().to_numpy(zero_copy_only=False)] = _constant(1, _NULL)
    return words


def _values(array: pa.Array, *, rounded: bool) -> Words:
    """Of what is no NULL; anything in the places of NULLs."""
    kind, types = array.type, pa.types
    if types.is_null(kind):
        return _constant(len(array), _NULL)
    if types.is_struct(kind):
        words = _constant(len(array), _STRUCT)
        for field in array.flatten():
            words = _joined(words, _cells(field, rounded=rounded))
        return words
    if types.is_list(kind) or types.is_large_list(kind) or types.is_map(kind):
        return _lists(array, rounded=rounded)
    if kind in _DIGITS:
        return _floating(array, rounded=rounded)
    if types.is_decimal(kind):
        return _decimals(array)
    if types.is_string(kind) or types.is_binary(kind):
        return _bytes(array)
    return _mixed(_numbers(array))


def _numbers(array: pa.Array) -> npt.NDArray[np.uint64]:
    if pa.types.is_temporal(array.type):
        array = array.view(pa.int32() if array.type.bit_width == 32 else pa.int64())
    whole = pc.fill_null(pc.cast(array, pa.int64()), 0)
    return _unsigned(whole.to_numpy(zero_copy_only=False))


def _floating(array: pa.Array, *, rounded: bool) -> Words:
    given = pc.fill_null(array, 0).to_numpy(zero_copy_only=False).astype(np.float64)
    values = np.where(np.isnan(given), np.nan, given) + 0.0  # one NaN; -0.0 + 0.0 is 0.0
    if not rounded:
        return _mixed(values.view(np.uint64))
    odd = ~np.isfinite(values)
    part, power = np.frexp(np.where(odd | (np.abs(values) < _NOTHING), 0.0, values))
    kept, more = np.frexp(np.rint(np.ldexp(part, _DIGITS[array.type])))  # 2^20 has a power more
    words = _joined(_mixed(kept.view(np.uint64)), _mixed(_unsigned(power + more)))
    words[odd] = _mixed(values[odd].view(np.uint64))
    return words


def _unsigned(numbers: npt.NDArray[np.integer[Any]]) -> npt.NDArray[np.uint64]:
    return numbers.astype(np.int64).view(np.uint64)


def _decimals(array: pa.Array) -> Words:
    """Of the unscaled number, in its words of 64 bits; the scale is part of the type."""
    width = array.type.bit_width // 64
    data = array.buffers()[1]
    if not len(array) or data is None:
        return _constant(len(array), _NULL)
    words = np.frombuffer(data, dtype=np.uint64)
    start = array.offset * width
    parts = words[start : start + len(array) * width].reshape(-1, width)
    found = _mixed(parts[:, 0])
    for place in range(1, width):
        found = _joined(found, _mixed(parts[:, place]))
    return found


def _bytes(array: pa.Array) -> Words:
    """Each different text is hashed once."""
    known = pc.fill_null(array, b"" if pa.types.is_binary(array.type) else "").dictionary_encode()
    texts = pc.cast(known.dictionary, pa.binary()).to_pylist()
    hashed = b"".join(hashlib.blake2b(text, digest_size=16).digest() for text in texts)
    words = np.frombuffer(hashed, dtype=np.uint64).reshape(-1, 2)
    found = words[known.indices.to_numpy(zero_copy_only=False)] if len(texts) else words
    return _joined(_constant(len(array), _BYTES), found)


def _lists(array: pa.Array, *, rounded: bool) -> Words:
    is_map = pa.types.is_map(array.type)
    offsets = array.offsets.to_numpy(zero_copy_only=False).astype(np.int64)
    lengths = np.diff(offsets)
    if is_map:
        first, last = int(offsets[0]), int(offsets[-1])
        inner = _joined(
            _cells(array.keys.slice(first, last - first), rounded=rounded),
            _cells(array.items.slice(first, last - first), rounded=rounded),
        )
    else:
        inner = _cells(
            array.values.slice(int(offsets[0]), int(offsets[-1] - offsets[0])), rounded=rounded
        )
        places = np.arange(len(inner)) - np.repeat(offsets[:-1] - offsets[0], lengths)
        inner = _joined(_mixed(_unsigned(places)), inner)
    sums = np.zeros((len(array), 2), dtype=np.uint64)
    np.add.at(sums, np.repeat(np.arange(len(array)), lengths), inner)
    head = _constant(len(array), _MAP if is_map else _LIST)
    return _joined(_joined(head, _mixed(_unsigned(lengths))), sums)


def _constant(count: int, what: np.uint64) -> Words:
    """What is no value; mixed once more, so that NULL is not the number that names it."""
    return _finished(_mixed(np.full(count, what, dtype=np.uint64)))


def _joined(left: Words, right: Words) -> Words:
    """Both, in this order."""
    return _finished(left * _FIRST + right)


def _mixed(numbers: npt.NDArray[np.uint64]) -> Words:
    """One number under both seeds."""
    return _finished(numbers[:, None] + _SEEDS)


def _finished(words: Words) -> Words:
    """The end of splitmix64: every bit of what goes in moves about half of what comes out."""
    words = (words ^ (words >> np.uint64(30))) * _FIRST
    words = (words ^ (words >> np.uint64(27))) * _SECOND
    found: Words = words ^ (words >> np.uint64(31))
    return found
