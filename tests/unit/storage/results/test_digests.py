"""Laws of the digest of a result: what must not change it, and what must."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import date
from decimal import Decimal
from itertools import pairwise
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from storage.results.digests import Digest, digest_of

TEXTS = st.text(max_size=4)
DECIMALS = st.decimals(-(10**20), 10**20, places=2, allow_nan=False)
MOMENTS = st.integers(-(2**50), 2**50)  # microseconds

#: A column of each kind of type, and what may be in it.
COLUMNS: list[tuple[pa.DataType, st.SearchStrategy[Any]]] = [
    (pa.bool_(), st.booleans()),
    (pa.int8(), st.integers(-128, 127)),
    (pa.int64(), st.integers(-(2**63), 2**63 - 1)),
    (pa.float32(), st.floats(width=32)),
    (pa.float64(), st.floats()),
    (pa.string(), TEXTS),
    (pa.binary(), st.binary(max_size=4)),
    (pa.date32(), st.dates()),
    (pa.timestamp("us"), MOMENTS),
    (pa.timestamp("us", "UTC"), MOMENTS),
    (pa.time64("us"), st.times()),
    (pa.decimal128(38, 2), DECIMALS),
    (pa.null(), st.none()),
    (pa.list_(pa.int32()), st.lists(st.none() | st.integers(0, 9), max_size=3)),
    (pa.list_(pa.list_(pa.string())), st.lists(st.none() | st.lists(TEXTS, max_size=2))),
    (pa.list_(pa.decimal128(30, 2)), st.lists(st.none() | DECIMALS, max_size=2)),
    (
        pa.struct([("a", pa.int32()), ("b", pa.list_(pa.string()))]),
        st.fixed_dictionaries({"a": st.none() | st.integers(0, 9), "b": st.lists(TEXTS)}),
    ),
    (
        pa.map_(pa.string(), pa.float64()),
        st.dictionaries(TEXTS, st.none() | st.floats(), max_size=3).map(lambda m: [*m.items()]),
    ),
]


@st.composite
def tables(draw: st.DrawFn) -> tuple[pa.Schema, list[dict[str, Any]]]:
    """Some columns with some rows, NULLs among them."""
    chosen = draw(st.lists(st.sampled_from(COLUMNS), min_size=1, max_size=4))
    schema = pa.schema([(f"c{place}", kind) for place, (kind, _) in enumerate(chosen)])
    row = st.fixed_dictionaries(
        {f"c{place}": st.none() | values for place, (_, values) in enumerate(chosen)}
    )
    return schema, draw(st.lists(row, max_size=12))


def digest(schema: pa.Schema, rows: Sequence[dict[str, Any]], *cuts: int) -> Digest:
    """Of these rows in batches that end at ``cuts``, which are slices of one."""
    whole = pa.RecordBatch.from_pylist(rows, schema=schema)
    ends = sorted({0, len(rows), *(cut for cut in cuts if cut < len(rows))})
    return digest_of(schema, [whole[a:b] for a, b in pairwise(ends)])


def of(kind: pa.DataType, *values: Any, name: str = "c") -> Digest:
    return digest(pa.schema([(name, kind)]), [{name: value} for value in values])


@given(tables(), st.randoms(), st.lists(st.integers(0, 12), max_size=3))
@settings(max_examples=60, deadline=None)
def test_neither_order_nor_cuts_change_it(
    table: tuple[pa.Schema, list[dict[str, Any]]], random: Any, cuts: list[int]
) -> None:
    schema, rows = table
    shuffled = random.sample(rows, len(rows))
    assert digest(schema, shuffled, *cuts) == digest(schema, rows)


@given(tables(), st.data())
@settings(max_examples=60, deadline=None)
def test_a_row_that_is_missing_or_doubled_changes_it(
    table: tuple[pa.Schema, list[dict[str, Any]]], data: st.DataObject
) -> None:
    schema, rows = table
    if not rows:
        return
    place = data.draw(st.integers(0, len(rows) - 1))
    told = digest(schema, rows).exact
    less = digest(schema, rows[:place] + rows[place + 1 :]).exact
    more = digest(schema, [*rows, rows[place]]).exact
    assert len({told, less, more}) == 3


@pytest.mark.parametrize(("kind", "values"), COLUMNS, ids=[str(kind) for kind, _ in COLUMNS])
@given(data=st.data())
@settings(max_examples=15, deadline=None)
def test_other_values_change_it(
    kind: pa.DataType, values: st.SearchStrategy[Any], data: st.DataObject
) -> None:
    one, two = data.draw(st.none() | values), data.draw(st.none() | values)
    if _same(one, two):
        return  # zeros of both signs and the order of a map have tests of their own
    assert of(kind, one).exact != of(kind, two).exact


def _same(one: Any, two: Any) -> bool:
    if isinstance(one, float) and isinstance(two, float):
        return one == two or (math.isnan(one) and math.isnan(two))
    if isinstance(one, list) and one and isinstance(one[0], tuple):
        entries = dict(two or ())
        return _same_entries(dict(one), entries)
    return bool(one == two)


def _same_entries(one: dict[str, Any], two: dict[str, Any]) -> bool:
    return one.keys() == two.keys() and all(_same(one[key], two[key]) for key in one)


def test_values_of_two_rows_do_not_change_places() -> None:
    schema = pa.schema([("a", pa.int32()), ("b", pa.int32())])
    one = digest(schema, [{"a": 1, "b": 1}, {"a": 2, "b": 2}])
    assert one.exact != digest(schema, [{"a": 1, "b": 2}, {"a": 2, "b": 1}]).exact


def test_names_and_types_of_columns_count() -> None:
    told = {
        of(pa.int32(), 1).columns,
        of(pa.int64(), 1).columns,
        of(pa.int32(), 1, name="d").columns,
    }
    assert len(told) == 3
    assert (
        of(pa.decimal128(5, 1), Decimal(1)).columns != of(pa.decimal128(5, 2), Decimal(1)).columns
    )


def test_what_engines_call_items_and_may_be_null_does_not_count() -> None:
    one = pa.list_(pa.field("item", pa.int32()))
    two = pa.list_(pa.field("element", pa.int32(), nullable=False))
    assert of(one, [1]) == of(two, [1])


def test_null_is_no_empty_value() -> None:
    assert of(pa.string(), None).exact != of(pa.string(), "").exact
    assert of(pa.list_(pa.int32()), None).exact != of(pa.list_(pa.int32()), []).exact
    assert of(pa.int64(), None).exact != of(pa.int64(), 0).exact


def test_null_lists_hide_what_is_below_them() -> None:
    """A writer may leave anything in the places of NULLs."""
    values, mask = pa.array([1, 2, 3], pa.int32()), pa.array([False, True])
    dirty = pa.ListArray.from_arrays(pa.array([0, 1, 3], pa.int32()), values, mask=mask)
    schema = pa.schema([("c", dirty.type)])
    told = digest_of(schema, [pa.RecordBatch.from_arrays([dirty], schema=schema)])
    assert told == of(dirty.type, [1], None)


def test_order_counts_in_lists_and_not_in_maps() -> None:
    assert of(pa.list_(pa.int32()), [1, 2]).exact != of(pa.list_(pa.int32()), [2, 1]).exact
    kind = pa.map_(pa.string(), pa.int32())
    assert of(kind, [("a", 1), ("b", 2)]) == of(kind, [("b", 2), ("a", 1)])
    assert of(kind, [("a", 1), ("b", 2)]).exact != of(kind, [("a", 2), ("b", 1)]).exact


def test_zeros_and_nans_are_one_value_each() -> None:
    assert of(pa.float64(), -0.0) == of(pa.float64(), 0.0)
    other = np.array([0x7FF8000000000001], dtype=np.uint64).view(np.float64)[0]
    assert of(pa.float64(), float(other)) == of(pa.float64(), math.nan)


@given(st.floats(1e-6, 1e9), st.integers(-3, 3))
@settings(max_examples=100, deadline=None)
def test_noise_of_the_last_digits_is_only_in_the_exact_one(value: float, steps: int) -> None:
    part = math.frexp(value)[0] * 2**20 % 1
    if abs(part - 0.5) < 1e-6:  # so near to the middle that it may be rounded either way
        return
    near = value + steps * math.ulp(value)
    one, two = of(pa.float64(), value), of(pa.float64(), near)
    assert one.rounded == two.rounded
    assert (one.exact == two.exact) == (value == near)


def test_rounding_keeps_six_digits_and_lets_go_of_dust() -> None:
    def rounded(value: float) -> str:
        return of(pa.float64(), value).rounded

    assert rounded(1.00001) != rounded(1.00002)
    assert rounded(0.1 + 0.2 - 0.3) == rounded(0.0)
    assert rounded(math.inf) != rounded(-math.inf)


def test_without_floats_both_are_the_same() -> None:
    told = of(pa.date32(), date(2026, 1, 1), None)
    assert told.exact == told.rounded


def test_nothing_at_all_has_one_as_well() -> None:
    told = of(pa.string())
    assert (told.rows, int(told.exact, 16)) == (0, 0)
