from __future__ import annotations

import io
from pathlib import Path
from typing import BinaryIO

import pyarrow as pa
import pytest

from storage.catalog.errors import UnknownTypeError
from storage.objects.api import ObjectInfo
from storage.tables.errors import CorruptFileError
from storage.tables.formats.parquet import Footer, read_footer, read_footers
from tests.support.parquet import info, open_path, write


def read(path: Path) -> Footer:
    return read_footer(open_path, info(path))


def types(path: Path) -> dict[str, str | UnknownTypeError]:
    return {column.name: column.type for column in read(path).columns}


def test_a_footer_tells_rows_and_columns(tmp_path: Path) -> None:
    path = write(tmp_path / "f", {"a": [1, 2], "B": ["x", None]})
    assert read(path).rows == 2
    assert types(path) == {"a": "bigint", "B": "string"}


def test_only_the_end_of_a_file_is_read(tmp_path: Path) -> None:
    path = write(tmp_path / "f", {"a": list(range(300_000))}, compression="none")
    starts: list[int] = []

    class Watched(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            starts.append(self.tell())
            return super().read(size)

    def open_it(_key: str, _size: int) -> BinaryIO:
        return Watched(path.read_bytes())

    assert read_footer(open_it, info(path)).rows == 300_000
    assert starts == [path.stat().st_size - (64 << 10)]


def test_a_large_footer_is_read_whole(tmp_path: Path) -> None:
    path = write(tmp_path / "f", {f"column_{n}": [1] for n in range(2000)})
    assert len(read(path).columns) == 2000
    assert read(path).ordered


def test_many_footers_come_in_the_order_of_the_files(tmp_path: Path) -> None:
    paths = [write(tmp_path / f"{n}", {"a": [1] * n}) for n in range(30)]
    footers = read_footers(open_path, [info(path) for path in paths])
    assert [footer.rows for footer in footers] == list(range(30))


@pytest.mark.parametrize("columns", [1, 14, 15, 16, 200])
def test_the_declared_order_is_seen_for_any_number_of_columns(tmp_path: Path, columns: int) -> None:
    assert read(write(tmp_path / "f", {f"c{n}": [1] for n in range(columns)})).ordered


@pytest.mark.parametrize(
    "content",
    [b"PAR1", b"no parquet here, but long enough", b"x" * 90 + b"\xff\xff\xff\x7fPAR1",
     b"x" * 90 + b"\x10\x00\x00\x00PAR1", b"x" * 90 + b"\x10\x00\x00\x00PARE"],
)  # fmt: skip
def test_what_is_no_parquet_is_told_with_the_file(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "broken.parquet"
    path.write_bytes(content)
    with pytest.raises(CorruptFileError, match=r"broken\.parquet"):
        read(path)


def test_a_file_cut_off_is_corrupt(tmp_path: Path) -> None:
    path = write(tmp_path / "f.parquet", {"a": [1, 2]})
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(CorruptFileError):
        read(path)


def test_a_file_that_shrank_after_the_listing_is_corrupt(tmp_path: Path) -> None:
    path = write(tmp_path / "f.parquet", {"a": [1, 2]})
    before = ObjectInfo(key=str(path), size=path.stat().st_size + 100, etag="e")
    with pytest.raises(CorruptFileError):
        read_footer(open_path, before)


def test_int96_is_a_moment_on_every_level(tmp_path: Path) -> None:
    moment = pa.timestamp("us")
    data = pa.table(
        {
            "t": pa.array([1], moment),
            "l": pa.array([[1]], pa.list_(moment)),
            "s": pa.array([{"a": 1, "b": 2}], pa.struct([("a", moment), ("b", pa.int32())])),
            "m": pa.array([[(1, 2)]], pa.map_(pa.int32(), moment)),
        }
    )
    path = write(tmp_path / "f", data, use_deprecated_int96_timestamps=True)
    assert types(path) == {
        "t": "timestamp",
        "l": "array<timestamp>",
        "s": "struct<a:timestamp,b:int>",
        "m": "map<int,timestamp>",
    }


def test_a_type_that_no_column_can_have_is_a_value(tmp_path: Path) -> None:
    path = write(tmp_path / "f", pa.table({"n": pa.array([1], pa.timestamp("ns")), "a": [1]}))
    found = types(path)
    assert isinstance(found["n"], UnknownTypeError)
    assert found["a"] == "bigint"


def test_dictionaries_and_wide_nests_do_not_shift_the_leaves(tmp_path: Path) -> None:
    data = pa.table(
        {
            "d": pa.array(["x"]).dictionary_encode(),
            "s": pa.array([{"a": [1], "b": {"c": 1, "d": "x"}}]),
            "f": pa.array([[1, 2]], pa.list_(pa.int8(), 2)),
            "z": [1],
        }
    )
    columns = read(write(tmp_path / "f", data)).columns
    assert [(one.first_leaf, one.leaves, one.nested) for one in columns] == [
        (0, 1, False),
        (1, 3, True),
        (4, 1, True),
        (5, 1, False),
    ]
