"""What engines send, in the one form that results have."""

from __future__ import annotations

import ctypes
from datetime import date, datetime, timedelta
from decimal import Decimal

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from storage.results.types import (
    ResultValueError,
    UnsupportedResultTypeError,
    normal_schema,
    normalise,
    sql_type,
)

MICROS = pa.timestamp("us")
MOMENT = datetime.fromisoformat("2026-01-02T03:00:00")  # naive: timestamp_ntz


def normal(array: pa.Array) -> tuple[str, list[object]]:
    """SQL type and values of a column of ``array``."""
    return normal_batch(pa.record_batch([array], names=["c"]))


def normal_batch(batch: pa.RecordBatch) -> tuple[str, list[object]]:
    schema = normal_schema(batch.schema)
    done = normalise(batch, schema)
    done.validate(full=True)
    assert done.schema.equals(schema)
    assert normal_schema(schema).equals(schema, check_metadata=True)
    assert normalise(done, schema).equals(done)
    return sql_type(schema.field(0)), done.column(0).to_pylist()


def foreign(array: pa.Array, kind: bytes) -> pa.RecordBatch:
    """A batch of a type that pyarrow can pass on but not make, named as in Arrow's C interface."""
    batch = pa.record_batch([array], names=["c"])
    data, schema = (ctypes.create_string_buffer(128) for _ in range(2))
    batch._export_to_c(ctypes.addressof(data), ctypes.addressof(schema))
    children = ctypes.c_void_p.from_buffer(schema, 40).value
    assert children
    child = ctypes.c_void_p.from_address(children).value
    while kind.startswith(b"+") and child:
        children = ctypes.c_void_p.from_address(child + 40).value
        child = ctypes.c_void_p.from_address(children).value if children else None
        kind = kind[1:]
    assert child
    ctypes.c_char_p.from_address(child).value = kind
    return pa.RecordBatch._import_from_c(ctypes.addressof(data), ctypes.addressof(schema))


def strict(array: pa.Array, kind: bytes) -> pa.RecordBatch:
    """A batch of a type that pyarrow cannot make: of fields of type null that are never NULL."""
    batch = pa.record_batch([array], names=["c"])
    data, schema = (ctypes.create_string_buffer(128) for _ in range(2))
    batch._export_to_c(ctypes.addressof(data), ctypes.addressof(schema))
    names = [kind, b"+s"] if kind == b"+m" else [kind]
    level = _children(ctypes.addressof(schema))
    while level:
        for child in level:
            if names:
                ctypes.c_char_p.from_address(child).value = names[0]
            ctypes.c_int64.from_address(child + 24).value &= ~2  # nullable
        names = names[1:]
        level = [inner for child in level for inner in _children(child)]
    return pa.RecordBatch._import_from_c(ctypes.addressof(data), ctypes.addressof(schema))


def _children(schema: int) -> list[int]:
    count = ctypes.c_int64.from_address(schema + 32).value
    first = ctypes.c_void_p.from_address(schema + 40).value or 0
    found = (ctypes.c_void_p.from_address(first + 8 * place).value for place in range(count))
    return [child for child in found if child]


STRINGS = pa.array(["a", None])


@pytest.mark.parametrize(
    ("array", "expected"),
    [
        (pa.nulls(1), "void"),
        (pa.array([True]), "boolean"),
        (pa.array([1], pa.int8()), "tinyint"),
        (pa.array([1], pa.int16()), "smallint"),
        (pa.array([1], pa.int32()), "int"),
        (pa.array([1]), "bigint"),
        (pa.array([255], pa.uint8()), "smallint"),
        (pa.array([2**16 - 1], pa.uint16()), "int"),
        (pa.array([2**32 - 1], pa.uint32()), "bigint"),
        (pa.array([1.5], pa.float16()), "float"),
        (pa.array([1.5], pa.float32()), "float"),
        (pa.array([1.5]), "double"),
        (pa.array([Decimal("1.50")], pa.decimal128(10, 2)), "decimal(10,2)"),
        (pa.array([Decimal("1.50")], pa.decimal32(5, 2)), "decimal(5,2)"),
        (pa.array([Decimal("1.50")], pa.decimal256(30, 2)), "decimal(30,2)"),
        (pa.array([Decimal("1.50")], pa.decimal256(60, 2)), "decimal(38,2)"),
        (STRINGS.cast(pa.large_string()), "string"),
        (STRINGS.cast(pa.string_view()), "string"),
        (STRINGS.dictionary_encode(), "string"),
        (pc.run_end_encode(STRINGS), "string"),
        (pa.array([b"a"], pa.large_binary()), "binary"),
        (pa.array([b"ab"], pa.binary(2)), "binary"),
        (pa.array([b"a"], pa.binary_view()), "binary"),
        (pa.array([date(2026, 1, 2)]), "date"),
        (pa.array([date(2026, 1, 2)], pa.date64()), "date"),
        (pa.array([MOMENT], pa.timestamp("s")), "timestamp_ntz"),
        (pa.array([MOMENT], pa.timestamp("ns")), "timestamp_ntz"),
        (pa.array([["a", None], None]).cast(pa.large_list(pa.large_string())), "array<string>"),
        (pa.array([[1], [2]], pa.list_(pa.int32(), 1)), "array<int>"),
        (pa.array([{"a": 1, "b c": ["x"]}, None]), "struct<a:bigint,`b c`:array<string>>"),
        (pa.array([[("k", 1.5)], None], pa.map_(pa.large_string(), pa.float16())),
         "map<string,float>"),
        (pa.array([[{"x": [1]}]]), "array<struct<x:array<bigint>>>"),
    ],
)  # fmt: skip
def test_type_has_one_form_and_keeps_its_values(array: pa.Array, expected: str) -> None:
    if pa.types.is_run_end_encoded(array.type):
        assert normal(array) == (expected, STRINGS.to_pylist())
    else:
        assert normal(array) == (expected, array.to_pylist())


PAIRS = pa.list_(pa.struct([("key", pa.null()), ("value", pa.null())]))


@pytest.mark.parametrize(
    ("array", "kind", "expected"),
    [
        (pa.array([[], []], pa.list_(pa.null())), b"+l", "array<void>"),
        (pa.array([[[]], []], pa.list_(pa.list_(pa.null()))), b"+l", "array<array<void>>"),
        (pa.array([[], []], PAIRS), b"+m", "map<string,void>"),
    ],
)
def test_empty_array_and_map_have_elements_without_a_type(
    array: pa.Array, kind: bytes, expected: str
) -> None:
    assert normal_batch(strict(array, kind)) == (expected, array.to_pylist())


def test_big_unsigned_integers_stay_exact() -> None:
    assert normal(pa.array([2**64 - 1], pa.uint64())) == ("decimal(20,0)", [Decimal(2**64 - 1)])


def test_negative_scale_becomes_digits() -> None:
    array = pa.array([Decimal("1200")], pa.decimal128(5, -2))
    assert normal(array) == ("decimal(7,0)", [Decimal("1200")])


def test_zones_become_utc_and_moments_stay() -> None:
    array = pa.array([MOMENT], MICROS).cast(pa.timestamp("ms", "Europe/Paris"))
    kind, values = normal(array)
    assert kind == "timestamp"
    assert values == array.to_pylist()


@pytest.mark.parametrize("deep", [False, True])
def test_nanoseconds_are_cut(deep: bool) -> None:
    array = pa.array([1_999, None], pa.timestamp("ns"))
    expected: list[object] = [datetime.fromisoformat("1970-01-01T00:00:00.000001"), None]
    if deep:
        array = pa.StructArray.from_arrays([array], ["a"])
        expected = [{"a": value} for value in expected]
    assert normal(array)[1] == expected


def test_list_items_are_called_element() -> None:
    schema = normal_schema(pa.schema({"c": pa.list_(pa.field("item", pa.int32(), nullable=False))}))
    assert schema.field(0).type.value_field == pa.field("element", pa.int32())


def test_columns_follow_their_schema_to_the_names_in_lists() -> None:
    batch = pa.record_batch([pa.array([[1]], pa.list_(pa.field("item", pa.int32())))], names=["c"])
    done = normalise(batch, normal_schema(batch.schema))
    assert done.column(0).type.value_field.name == "element"


def test_metadata_of_engines_is_dropped() -> None:
    schema = pa.schema([pa.field("a", pa.int32(), metadata={"x": "y"})], metadata={"z": "z"})
    assert normal_schema(schema).equals(pa.schema({"a": pa.int32()}), check_metadata=True)


@pytest.mark.parametrize(
    ("span", "text"),
    [(timedelta(0), "0 00:00:00"), (timedelta(days=1, hours=2, milliseconds=500), "1 02:00:00.5"),
     (-timedelta(hours=25, microseconds=1), "-1 01:00:00.000001")],
)  # fmt: skip
def test_spans_are_text_as_in_spark(span: timedelta, text: str) -> None:
    expected = f"INTERVAL '{text}' DAY TO SECOND"
    assert normal(pa.array([span, None])) == ("interval day to second", [expected, None])


@pytest.mark.parametrize(
    ("count", "text"), [(0, "0-0"), (14, "1-2"), (-14, "-1-2"), (-1, "-0-1"), (12000, "1000-0")]
)
def test_months_are_text_as_in_spark(count: int, text: str) -> None:
    expected = f"INTERVAL '{text}' YEAR TO MONTH"
    batch = foreign(pa.array([7, count, None], pa.int32()), b"tiM").slice(1)
    assert normal_batch(batch) == ("interval year to month", [expected, None])


def test_days_and_milliseconds_are_text_as_in_spark() -> None:
    batch = foreign(pa.array([2 + (1500 << 32), None]), b"tiD")
    expected = "INTERVAL '2 00:00:01.5' DAY TO SECOND"
    assert normal_batch(batch) == ("interval day to second", [expected, None])


def test_months_within_lists_are_text() -> None:
    batch = foreign(pa.array([[1], [14, None], None], pa.list_(pa.int32())), b"+tiM").slice(1)
    expected = ["INTERVAL '1-2' YEAR TO MONTH", None]
    assert normal_batch(batch) == ("array<interval year to month>", [expected, None])


@pytest.mark.parametrize(
    ("value", "text"),
    [((0, 0, 0), "0 seconds"), ((14, 3, 4_500_000_000), "1 years 2 months 3 days 4.5 seconds"),
     ((-14, 0, -3_661_000_000_000), "-1 years -2 months -1 hours -1 minutes -1 seconds"),
     ((0, 0, -500_000_000), "-0.5 seconds"), ((12, 0, 60_000_000_000), "1 years 1 minutes")],
)  # fmt: skip
def test_calendar_intervals_are_text_as_in_spark(value: tuple[int, int, int], text: str) -> None:
    array = pa.array([value, None], pa.month_day_nano_interval())
    assert normal(array) == ("interval", [text, None])


@pytest.mark.parametrize("outer", [pa.list_, pa.large_list])
def test_intervals_within_lists_are_text(outer: type) -> None:
    array = pa.array([[timedelta(1)], [timedelta(2), None], None], outer(pa.duration("us")))
    one, two = (f"INTERVAL '{days} 00:00:00' DAY TO SECOND" for days in (1, 2))
    assert normal(array.slice(1)) == ("array<interval day to second>", [[two, None], None])
    assert normal(array)[1][0] == [one]


def test_intervals_within_maps_and_structs_are_text() -> None:
    text = "INTERVAL '1 00:00:00' DAY TO SECOND"
    mapped = pa.array([[("k", timedelta(1))], None], pa.map_(pa.string(), pa.duration("us")))
    assert normal(mapped) == ("map<string,interval day to second>", [[("k", text)], None])
    assert normal(pa.array([{"a": timedelta(1)}, None]))[1] == [{"a": text}, None]


def test_value_out_of_range_names_its_column() -> None:
    with pytest.raises(ResultValueError, match=r"column c does not fit decimal\(38,0\)"):
        normal(pa.array([Decimal("1" * 39)], pa.decimal256(40, 0)))


def test_later_batch_of_another_type_is_cast_or_refused() -> None:
    schema = pa.schema({"c": pa.int32()})
    assert normalise(pa.record_batch({"c": [7]}), schema).column(0).to_pylist() == [7]
    with pytest.raises(ResultValueError):
        normalise(pa.record_batch({"c": [2**40]}), schema)
    with pytest.raises(ResultValueError):
        normalise(pa.record_batch({"c": ["x"]}), schema)
    with pytest.raises(ResultValueError):
        normalise(pa.record_batch({"c": [1], "d": [2]}), schema)


def test_unknown_type_is_refused_by_name() -> None:
    union = pa.UnionArray.from_dense(pa.array([0], pa.int8()), pa.array([0], pa.int32()), [STRINGS])
    with pytest.raises(UnsupportedResultTypeError, match="column c"):
        normal(union)


def test_rows_without_columns_are_rows() -> None:
    batch = pa.RecordBatch.from_struct_array(pa.array([{}] * 3, pa.struct([])))
    assert normalise(batch, normal_schema(batch.schema)).num_rows == 3


def test_same_names_are_kept() -> None:
    batch = pa.RecordBatch.from_arrays([pa.array([1]), pa.array([2])], names=["a", "a"])
    assert normalise(batch, normal_schema(batch.schema)).equals(batch)
