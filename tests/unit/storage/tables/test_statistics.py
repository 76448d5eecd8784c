"""Bounds must hold for every value but NULL and NaN, whatever is written and by whom."""

from __future__ import annotations

import io
import math
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Context, Decimal
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from storage.catalog.definitions import Column
from storage.objects.api import ObjectInfo
from storage.tables.formats.parquet import Footer, read_footer
from storage.tables.manifests import decode_table, encode_table
from storage.tables.snapshots import ColumnStats, RowGroups
from storage.tables.statistics import group_table, row_groups

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
I64 = st.integers(-(2**63), 2**63 - 1)
MOMENTS = st.integers(-(2**60), 2**60)

#: Arrow type of a written column, and its values.
KINDS: dict[str, tuple[pa.DataType, st.SearchStrategy[Any]]] = {
    "boolean": (pa.bool_(), st.booleans()),
    "tinyint": (pa.int8(), st.integers(-128, 127)),
    "bigint": (pa.int64(), I64),
    "u8": (pa.uint8(), st.integers(0, 255)),
    "u32": (pa.uint32(), st.integers(0, 2**32 - 1)),
    "u64": (pa.uint64(), st.integers(0, 2**64 - 1)),
    "float": (pa.float32(), st.floats(width=32)),
    "double": (pa.float64(), st.floats()),
    "string": (pa.string(), st.text(max_size=8) | st.text("z\U0010ffff\ud7ffa", max_size=90)),
    "dictionary": (pa.dictionary(pa.int32(), pa.string()), st.text(max_size=8)),
    "date": (pa.date32(), st.dates()),
    "ms": (pa.timestamp("ms", "Asia/Tokyo"), st.integers(-(2**50), 2**50)),
    "us": (pa.timestamp("us"), MOMENTS),
    "decimal9": (pa.decimal128(9, 2), st.integers(-(10**9) + 1, 10**9 - 1)),
    "decimal38": (pa.decimal128(38, 5), st.integers(-(10**38) + 1, 10**38 - 1)),
    "binary": (pa.binary(), st.binary(max_size=8)),
}


def stats_of(data: pa.Table, columns: Sequence[Column] | None = None, **options: Any) -> RowGroups:
    """What is known after the whole way: written, read, stored, loaded."""
    buffer = io.BytesIO()
    pq.write_table(data, buffer, **options)
    return stats_of_bytes(buffer.getvalue(), columns)


def footer_of(raw: bytes) -> Footer:
    info = ObjectInfo(key="f.parquet", size=len(raw), etag="e")
    return read_footer(lambda _key, _size: io.BytesIO(raw), info)


def stats_of_bytes(raw: bytes, columns: Sequence[Column] | None = None) -> RowGroups:
    footer = footer_of(raw)
    if columns is None:
        columns = [Column(name=one.name, type=str(one.type)) for one in footer.columns]
    return row_groups(decode_table(encode_table(group_table(columns, [footer]))))


def comparable(value: Any, kind: pa.DataType) -> Any:
    """A Python value as ``ColumnStats`` has it."""
    if isinstance(value, Decimal):
        return int(value.scaleb(kind.scale, Context(prec=80)))
    if isinstance(value, datetime):
        moment = value if value.tzinfo else value.replace(tzinfo=UTC)
        return (moment - EPOCH) // timedelta(microseconds=1)
    if isinstance(value, date):
        return (value - date(1970, 1, 1)).days
    return int(value) if isinstance(value, bool) else value


def assert_true_for(stats: ColumnStats, place: int, values: Sequence[Any]) -> None:
    """The group's bounds and NULLs say nothing wrong about ``values``."""
    known = [value for value in values if value is not None]
    if stats.nulls[place] >= 0:
        assert stats.nulls[place] == len(values) - len(known)
    if stats.bounded[place]:
        assert stats.lower is not None
        assert stats.upper is not None
        for value in known:
            if not (isinstance(value, float) and math.isnan(value)):
                assert stats.lower[place] <= value <= stats.upper[place]


def arrays(kind: str) -> st.SearchStrategy[list[Any]]:
    return st.lists(st.none() | KINDS[kind][1], max_size=12)


def build(kind: str, values: list[Any]) -> pa.Array:
    arrow = KINDS[kind][0]
    if kind.startswith("decimal"):
        values = [None if one is None else Decimal(f"{one}E-{arrow.scale}") for one in values]
        return pa.array(values, arrow)
    if pa.types.is_timestamp(arrow):
        return pa.array(values, pa.int64()).cast(arrow)
    return pa.array(values, arrow)


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data(), size=st.integers(1, 4), v1=st.booleans())
def test_no_value_lies_outside_of_its_bounds(
    kind: str, data: st.DataObject, size: int, v1: bool
) -> None:
    written = build(kind, data.draw(arrays(kind)))
    options: dict[str, Any] = {
        "row_group_size": size,
        "version": "1.0" if v1 and kind != "u32" else "2.6",
    }
    groups = stats_of(pa.table({"Col": written}), **options)
    arrow = written.type
    plain = written.cast(pa.timestamp("us", arrow.tz)) if pa.types.is_timestamp(arrow) else written
    ends = np.cumsum(groups.rows)
    assert (ends[-1] if len(ends) else 0) == len(written)
    for place, end in enumerate(ends):
        start = int(end - groups.rows[place])
        if pa.types.is_timestamp(arrow):
            values: list[Any] = plain.cast(pa.int64())[start : int(end)].to_pylist()
        else:
            values = [comparable(one, arrow) for one in plain[start : int(end)].to_pylist()]
        assert_true_for(groups.columns["col"], place, values)


@pytest.mark.parametrize("kind", sorted(set(KINDS) - {"binary"}))
def test_plain_values_do_have_bounds(kind: str) -> None:
    some: dict[str, list[Any]] = {
        "string": ["a", "b"], "dictionary": ["a", "b"], "boolean": [False, True],
        "date": [date(1960, 1, 1), date(2020, 1, 1)], "float": [-1.5, 2.0], "double": [-0.5, 1.0],
    }  # fmt: skip
    groups = stats_of(pa.table({"c": build(kind, [*some.get(kind, [3, 77]), None])}))
    stats = groups.columns["c"]
    assert stats.bounded.tolist() == [True]
    assert stats.nulls.tolist() == [1]
    assert stats.lower is not None
    assert stats.upper is not None
    assert stats.lower[0] < stats.upper[0]


def test_arrays_have_the_promised_types() -> None:
    groups = stats_of(pa.table({kind: build(kind, []) for kind in KINDS}))
    assert groups.rows.sum() == 0
    assert [one.dtype.str for one in (groups.rows, groups.file)] == ["<i8", "<i4"]
    full = stats_of(
        pa.table(
            {
                "i": pa.array([1], pa.int32()),
                "f": pa.array([1.0], pa.float32()),
                "s": ["x"],
                "d": pa.array([Decimal("1.25")], pa.decimal128(20, 2)),
                "w": pa.array([Decimal(10**37)], pa.decimal128(38, 0)),
            }
        )
    ).columns
    kinds = {name: stats.lower.dtype for name, stats in full.items() if stats.lower is not None}
    assert kinds == {"i": np.int64, "f": np.float64, "s": object, "d": object, "w": object}
    assert full["d"].lower is not None
    assert full["w"].lower is not None
    assert (full["d"].lower[0], type(full["d"].lower[0])) == (125, int)
    assert full["w"].lower[0] == 10**37


def test_nan_beside_numbers_leaves_bounds_of_the_numbers() -> None:
    stats = stats_of(pa.table({"x": [1.0, math.nan, 3.0]})).columns["x"]
    assert stats.lower is not None
    assert stats.upper is not None
    assert (stats.lower[0], stats.upper[0]) == (1.0, 3.0)


@pytest.mark.parametrize("values", [[math.nan], [None, None], []])
def test_without_a_comparable_value_there_are_no_bounds(values: list[Any]) -> None:
    groups = stats_of(pa.table({"x": pa.array(values, pa.float64())}))
    assert not groups.columns["x"].bounded.any()


def test_long_strings_get_short_bounds_that_hold() -> None:
    values = ["a" * 500, "z" * 500]
    stats = stats_of(pa.table({"s": values})).columns["s"]
    assert stats.lower is not None
    assert stats.upper is not None
    assert (len(stats.lower[0]), len(stats.upper[0])) == (64, 64)
    assert stats.lower[0] <= values[0]
    assert values[1] <= stats.upper[0]


def test_a_string_of_the_last_character_has_no_shorter_upper_bound() -> None:
    stats = stats_of(pa.table({"s": ["\U0010ffff" * 100]})).columns["s"]
    assert not stats.bounded.any()


def test_int96_has_no_statistics_at_all() -> None:
    data = pa.table({"t": pa.array([1, None], pa.timestamp("us"))})
    stats = stats_of(data, use_deprecated_int96_timestamps=True).columns["t"]
    assert not stats.bounded.any()
    assert stats.nulls.tolist() == [-1]


def test_seconds_are_read_in_the_unit_of_the_file() -> None:
    stats = stats_of(pa.table({"t": pa.array([7], pa.timestamp("s"))})).columns["t"]
    assert stats.lower is not None
    assert stats.lower[0] == 7_000_000


def test_nested_columns_have_their_bytes_and_nothing_else() -> None:
    data = pa.table(
        {
            "a": pa.array([[1, 2], None], pa.list_(pa.int32())),
            "m": pa.array([[("k", 1.5)], []], pa.map_(pa.string(), pa.float64())),
            "s": pa.array([{"x": 1, "y": "z"}, None]),
            "last": [1, 2],
        }
    )
    buffer = io.BytesIO()
    pq.write_table(data, buffer)
    groups = stats_of_bytes(buffer.getvalue())
    group = pq.read_metadata(buffer).row_group(0)
    sizes = [group.column(leaf).total_compressed_size for leaf in range(6)]
    columns = groups.columns
    assert columns["a"].compressed.tolist() == [sizes[0]]
    assert columns["m"].compressed.tolist() == [sizes[1] + sizes[2]]
    assert columns["s"].compressed.tolist() == [sizes[3] + sizes[4]]
    assert columns["last"].compressed.tolist() == [sizes[5]]
    assert columns["last"].bounded.all()
    for name in "ams":
        assert columns[name].nulls.tolist() == [-1]
        assert columns[name].lower is None


def test_a_column_that_the_file_lacks_is_null_in_all_rows() -> None:
    columns = [Column(name="x", type="bigint"), Column(name="new", type="string")]
    groups = stats_of(pa.table({"x": [1, 2, 3]}), columns, row_group_size=2)
    new = groups.columns["new"]
    assert (new.nulls.tolist(), new.compressed.tolist()) == ([2, 1], [0, 0])
    assert not new.bounded.any()


def test_names_meet_in_any_case() -> None:
    groups = stats_of(pa.table({"Price": [5]}), [Column(name="PRICE", type="bigint")])
    assert groups.columns["price"].bounded.all()


def test_a_narrower_file_bounds_the_wider_column() -> None:
    data = pa.table({"x": pa.array([5, -3], pa.int16()), "f": pa.array([0.1], pa.float32()).take(
        pa.array([0, 0]))})  # fmt: skip
    wide = [Column(name="x", type="bigint"), Column(name="f", type="double")]
    columns = stats_of(data, wide).columns
    assert columns["x"].lower is not None
    assert columns["f"].lower is not None
    assert columns["x"].lower[0] == -3
    assert columns["f"].lower[0] == float(np.float32(0.1))


def test_values_read_as_another_type_have_no_bounds() -> None:
    data = pa.table({"x": [b"a", b"b"]})
    assert not stats_of(data, [Column(name="x", type="string")]).columns["x"].bounded.any()


def test_bounds_of_an_undeclared_order_are_used_for_signed_numbers_only() -> None:
    data = pa.table(
        {
            "s": ["a", "é"],
            "u": pa.array([1, 2**32 - 1], pa.uint32()),
            "d": pa.array([Decimal(1), Decimal(-1)], pa.decimal128(20, 0)),
            "n": [1, 2],
        }
    )
    buffer = io.BytesIO()
    pq.write_table(data, buffer)
    footer = replace(footer_of(buffer.getvalue()), ordered=False)
    columns = [Column(name=one.name, type=str(one.type)) for one in footer.columns]
    stats = row_groups(group_table(columns, [footer])).columns
    assert [name for name in stats if stats[name].bounded.any()] == ["n"]


def test_a_file_of_an_old_writer_declares_no_order() -> None:
    buffer = io.BytesIO()
    pq.write_table(pa.table({"s": ["a"], "n": [1]}), buffer)
    raw = buffer.getvalue()
    assert footer_of(raw).ordered
    assert not footer_of(without_column_orders(raw)).ordered


@pytest.mark.parametrize("physical", [True, False])
def test_bounds_of_another_scale_are_not_used(physical: bool) -> None:
    data = pa.table({"d": pa.array([Decimal("1.25")], pa.decimal128(9, 2))})
    columns = [Column(name="d", type="decimal(9,3)")]
    stats = stats_of(data, columns, store_decimal_as_integer=physical).columns["d"]
    assert not stats.bounded.any()


@pytest.mark.parametrize("physical", [True, False])
def test_decimals_have_bounds_in_any_physical_form(physical: bool) -> None:
    data = pa.table({"d": pa.array([Decimal("-1.25"), Decimal("3")], pa.decimal128(9, 2))})
    stats = stats_of(data, store_decimal_as_integer=physical).columns["d"]
    assert stats.lower is not None
    assert stats.upper is not None
    assert (stats.lower[0], stats.upper[0]) == (-125, 300)


def without_column_orders(raw: bytes) -> bytes:
    """The file as an old writer would have ended it, without field 7 of the footer."""
    length = int.from_bytes(raw[-8:-4], "little")
    footer = raw[-8 - length : -8]
    columns = pq.read_metadata(io.BytesIO(raw)).num_columns
    orders = bytes([0x19, (columns << 4) | 0x0C]) + b"\x1c\x00\x00" * columns
    assert footer.endswith(orders + b"\x00")
    shorter = footer[: -len(orders) - 1] + b"\x00"
    return raw[: -8 - length] + shorter + len(shorter).to_bytes(4, "little") + b"PAR1"


def test_files_of_duckdb_have_bounds_that_hold(tmp_path: Path) -> None:
    path = tmp_path / "d.parquet"
    duckdb.sql(
        "COPY (SELECT i, 'n' || (i * 7919 % 10007) AS s, (i * 1.25)::DECIMAL(9,2) AS d, "
        f"DATE '2020-01-01' + i::INT AS t FROM range(5000) r(i)) TO '{path}' "
        "(FORMAT parquet, ROW_GROUP_SIZE 2048)"
    )
    assert check_file(path) == 4


def test_files_of_tpchgen_have_bounds_that_hold(tmp_path: Path) -> None:
    subprocess.run(
        [str(Path(sys.executable).with_name("tpchgen-cli")), "parquet", "-s", "0.001",
         "--tables=orders", "--output-dir", str(tmp_path)],
        check=True, capture_output=True,
    )  # fmt: skip
    assert check_file(tmp_path / "orders.parquet") >= 8


def check_file(path: Path) -> int:
    """All bounds of a file hold; gives how many columns have bounds."""
    raw = path.read_bytes()
    groups = stats_of_bytes(raw)
    table = pq.read_table(path)
    bounded = 0
    start = 0
    for place, count in enumerate(groups.rows.tolist()):
        part = table.slice(start, count)
        start += count
        bounded = 0
        for field in table.schema:
            values = [comparable(one, field.type) for one in part[field.name].to_pylist()]
            stats = groups.columns[field.name.lower()]
            assert_true_for(stats, place, values)
            bounded += bool(stats.bounded[place])
    return bounded
