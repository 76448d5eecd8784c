"""Results as bytes: readable by others, with the same values."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Callable, Iterator
from datetime import date, datetime, time
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from storage.results.render import (
    ResultFormatError,
    json_rows,
    render_arrow_stream,
    render_csv,
    render_json,
    render_parquet,
    schema_json,
)
from storage.results.types import normal_schema, normalise

moment = datetime.fromisoformat
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)


def column(values: list[Any], kind: pa.DataType | None = None) -> pa.RecordBatch:
    batch = pa.record_batch([pa.array(values, kind)], names=["c"])
    return normalise(batch, normal_schema(batch.schema))


def as_json(batch: pa.RecordBatch) -> Any:
    return json.loads(b"".join(render_json(batch.schema, [batch])))


def as_csv(batch: pa.RecordBatch) -> str:
    return b"".join(render_csv(batch.schema, [batch])).decode()


def rows_of(batch: pa.RecordBatch) -> Any:
    return json.loads(b"[" + json_rows(batch) + b"]")


def wire(values: list[Any], kind: pa.DataType | None = None) -> list[Any]:
    return [row[0] for row in as_json(column(values, kind))["rows"]]


@pytest.mark.parametrize(
    ("values", "kind", "expected"),
    [
        ([True, None], None, [True, None]),
        ([1, -2], pa.int32(), [1, -2]),
        ([2**63 - 1, None], None, ["9223372036854775807", None]),
        ([Decimal("1.10"), Decimal("0")], pa.decimal128(10, 2), ["1.10", "0.00"]),
        ([Decimal("1E-9"), Decimal("-1E-20")], pa.decimal128(30, 20),
         ["0.00000000100000000000", "-0.00000000000000000001"]),
        ([1.5, -0.0, 1e20, 1e-7, 2.0], None, [1.5, 0.0, 1e20, 1e-7, 2.0]),
        ([0.1], pa.float32(), [0.1]),
        ([math.nan, math.inf, -math.inf, None], None, ["NaN", "Infinity", "-Infinity", None]),
        (['a"b\\c\n\t\x01é漢😀', ""], None, ['a"b\\c\n\t\x01é漢😀', ""]),
        ([b"\x00\xff", b"", None], None, ["AP8=", "", None]),
        ([date(2026, 1, 2), date(1, 1, 1)], None, ["2026-01-02", "0001-01-01"]),
        ([moment("2026-01-02T03:04:05"), moment("2026-01-02T00:00:00.000010")], None,
         ["2026-01-02T03:04:05", "2026-01-02T00:00:00.000010"]),
        ([moment("2026-01-02T03:04:05")], pa.timestamp("us", "UTC"), ["2026-01-02T03:04:05Z"]),
        ([time(1, 2, 3), time(1, 2, 3, 500000)], None, ["01:02:03", "01:02:03.500000"]),
        ([None], None, [None]),
        ([[1, None], [], None], None, [["1", None], [], None]),
        ([[[True], None]], None, [[[True], None]]),
        ([{"a": 1, 'b"': "x"}, None, {"a": None}], None,
         [{"a": "1", 'b"': "x"}, None, {"a": None, 'b"': None}]),
        ([{}], pa.struct([]), [{}]),
        ([[("k", 1.0), ("", None)], [], None], pa.map_(pa.string(), pa.float64()),
         [{"k": 1.0, "": None}, {}, None]),
        ([[(1, "x")]], pa.map_(pa.int32(), pa.string()), [{"1": "x"}]),
    ],
)  # fmt: skip
def test_values_have_their_wire_form(values: list[Any], kind: Any, expected: list[Any]) -> None:
    assert wire(values, kind) == expected


def test_json_has_columns_and_rows_as_arrays() -> None:
    schema = pa.schema([pa.field("a", pa.int32(), nullable=False), pa.field("a", pa.string())])
    batch = pa.RecordBatch.from_arrays(
        [pa.array([1, 2], pa.int32()), pa.array(["x", None])], schema=schema
    )
    assert as_json(batch) == {
        "schema": [
            {"name": "a", "type": "int", "nullable": False},
            {"name": "a", "type": "string", "nullable": True},
        ],
        "rows": [[1, "x"], [2, None]],
    }


def test_json_of_many_batches_is_one_document() -> None:
    batch = column([1, 2, 3], pa.int32())
    pieces = [batch, batch.slice(0, 0), batch.slice(2)]
    assert json.loads(b"".join(render_json(batch.schema, pieces)))["rows"] == [[1], [2], [3], [3]]


@pytest.mark.parametrize("kind", [pa.int32(), pa.list_(pa.string()), pa.struct([]), pa.null()])
def test_no_rows_is_a_document_in_every_format(kind: pa.DataType) -> None:
    schema = normal_schema(pa.schema({"c": kind}))
    assert json.loads(b"".join(render_json(schema, [])))["rows"] == []
    assert b"".join(render_csv(schema, [])) == b"c\n"
    stream = pa.ipc.open_stream(b"".join(render_arrow_stream(schema, [])))
    assert stream.schema.equals(schema)
    assert stream.read_all().num_rows == 0
    if not pa.types.is_struct(kind):
        assert pq.read_table(io.BytesIO(b"".join(render_parquet(schema, [])))).num_rows == 0


def test_no_columns_is_a_document_in_every_format() -> None:
    batch = pa.RecordBatch.from_struct_array(pa.array([{}] * 2, pa.struct([])))
    assert as_json(batch) == {"schema": [], "rows": [[], []]}
    assert as_csv(batch) == "\n\n\n"
    stream = pa.ipc.open_stream(b"".join(render_arrow_stream(batch.schema, [batch])))
    assert stream.read_next_batch().num_rows == 2
    assert (
        pq.read_table(io.BytesIO(b"".join(render_parquet(batch.schema, [batch])))).num_columns == 0
    )


def test_slices_of_nested_columns_show_their_own_rows() -> None:
    batch = column([[1], [2, 3], None, [4]])
    assert rows_of(batch.slice(1, 2)) == [[["2", "3"]], [None]]
    nested = column([{"a": [1]}, {"a": [2]}, None])
    assert rows_of(nested.slice(1)) == [[{"a": ["2"]}], [None]]
    mapped = column([[("a", 1)], [("b", 2)]], pa.map_(pa.string(), pa.int32()))
    assert rows_of(mapped.slice(1)) == [[{"b": 2}]]


@given(st.lists(st.none() | TEXT, max_size=5), st.integers(0, 5))
def test_json_keeps_every_text(values: list[str | None], start: int) -> None:
    assert wire(values, pa.string()) == values
    rows = rows_of(column([values], pa.list_(pa.string())))
    assert rows == [[values]]


@given(st.lists(st.floats() | st.none(), max_size=5))
def test_json_keeps_every_float(values: list[float | None]) -> None:
    read = [None if v is None else float(v) for v in wire(values, pa.float64())]
    assert all(a == b or (a != a and b != b) for a, b in zip(read, values, strict=True))


@given(
    st.lists(
        st.decimals(allow_nan=False, allow_infinity=False, places=12, min_value=-9, max_value=9)
    )
)
def test_json_decimals_have_all_digits_and_no_exponent(values: list[Decimal]) -> None:
    assert wire(values, pa.decimal128(38, 12)) == [f"{value:.12f}" for value in values]


@given(st.lists(st.tuples(TEXT, st.none() | TEXT), min_size=1, max_size=5))
def test_csv_keeps_every_text(rows: list[tuple[str, str | None]]) -> None:
    batch = pa.record_batch(
        [pa.array(list(side), pa.string()) for side in zip(*rows, strict=True)], names=["a", "b"]
    )
    text = b"".join(render_csv(batch.schema, [batch])).decode()
    read = list(csv.reader(io.StringIO(text, newline=""), strict=True))
    assert read == [["a", "b"], *[[a, b or ""] for a, b in rows]]


def test_csv_tells_null_from_empty() -> None:
    batch = pa.record_batch(
        {"a": ["", None, "x"], "b": pa.array([b"", None, b"x"]), "c": [1, None, 2]}
    )
    assert as_csv(batch) == 'a,b,c\n"","",1\n,,\nx,eA==,2\n'


def test_csv_quotes_what_must_be_quoted() -> None:
    batch = pa.record_batch({'say "hi"': ["a,b", 'c"d', "e\nf", " g", "plain", "é"]})
    assert as_csv(batch) == '"say ""hi"""\n"a,b"\n"c""d"\n"e\nf"\n g\nplain\né\n'


def test_csv_has_nested_values_as_json() -> None:
    assert as_csv(column([{"a": [1]}, None])) == 'c\n"{""a"":[""1""]}"\n\n'


@pytest.mark.parametrize("render", [render_json, render_csv, render_arrow_stream, render_parquet])
def test_rendering_reads_batch_by_batch(render: Callable[..., Iterator[bytes]]) -> None:
    taken: list[int] = []

    def batches() -> Iterator[pa.RecordBatch]:
        for number in range(100):
            taken.append(number)
            yield pa.record_batch({"a": range(number * 250_000, (number + 1) * 250_000)})

    schema = pa.schema({"a": pa.int64()})
    pieces = render(schema, batches())
    assert taken == []
    sizes = [len(next(pieces)) for _ in range(3)]
    assert max(sizes) < 100 << 20
    assert len(taken) < 60


def test_arrow_and_parquet_give_the_same_table_back() -> None:
    batch = pa.record_batch({"a": [1, None], "s": ["x", ""], "l": [[1], None], "b": [b"x", None]})
    batch = normalise(batch, normal_schema(batch.schema))
    arrow = pa.ipc.open_stream(b"".join(render_arrow_stream(batch.schema, [batch, batch])))
    parquet = pq.read_table(io.BytesIO(b"".join(render_parquet(batch.schema, [batch, batch]))))
    expected = pa.Table.from_batches([batch, batch])
    assert arrow.read_all().equals(expected)
    assert parquet.combine_chunks().equals(expected.combine_chunks())


def test_parquet_names_are_unique() -> None:
    batch = pa.RecordBatch.from_arrays(
        [pa.array([n]) for n in range(4)], names=["a", "a", "a_2", "a"]
    )
    read = pq.read_table(io.BytesIO(b"".join(render_parquet(batch.schema, [batch]))))
    assert read.column_names == ["a", "a_3", "a_2", "a_4"]


def test_parquet_survives_a_broken_promise_about_nulls() -> None:
    schema = pa.schema([pa.field("a", pa.int32(), nullable=False)])
    batch = pa.RecordBatch.from_arrays([pa.array([1, None], pa.int32())], schema=schema)
    read = pq.read_table(io.BytesIO(b"".join(render_parquet(schema, [batch]))))
    assert read.column("a").to_pylist() == [1, None]


def test_parquet_refuses_what_it_cannot_hold() -> None:
    with pytest.raises(ResultFormatError):
        next(render_parquet(pa.schema({"c": pa.struct([])}), []))


def test_schema_json_has_sql_types() -> None:
    schema = normal_schema(pa.schema({"d": pa.decimal128(10, 2), "i": pa.duration("us")}))
    assert [one["type"] for one in schema_json(schema)] == [
        "decimal(10,2)",
        "interval day to second",
    ]
