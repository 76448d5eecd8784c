"""A file over ranges behaves like the file itself, with few requests."""

from __future__ import annotations

import io

import pyarrow as pa
import pyarrow.parquet as pq
from hypothesis import given
from hypothesis import strategies as st

from storage.objects.ranges import AHEAD_BYTES, RangeFile


class Counted:
    """Bytes that are asked for by range."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.asked: list[tuple[int, int]] = []

    def __call__(self, start: int, length: int) -> bytes:
        assert length > 0
        assert start + length <= len(self.data)
        self.asked.append((start, length))
        return self.data[start : start + length]

    def file(self) -> RangeFile:
        return RangeFile(self, len(self.data))


STEPS = st.lists(st.tuples(st.sampled_from([0, 1, 2]), st.integers(0, 300), st.integers(-1, 300)))


@given(data=st.binary(max_size=300), steps=STEPS)
def test_reads_like_a_file_in_memory(data: bytes, steps: list[tuple[int, int, int]]) -> None:
    ours, theirs = Counted(data).file(), io.BytesIO(data)
    for whence, offset, size in steps:
        moved = -min(offset, len(data)) if whence == io.SEEK_END else offset
        assert ours.seek(moved, whence) == theirs.seek(moved, whence)
        assert ours.read(size) == theirs.read(size)
        assert ours.tell() == theirs.tell()


def test_large_reads_jump_and_stay_whole() -> None:
    data = bytes(range(256)) * 8000
    file = Counted(data).file()
    for start, size in ((0, 10), (1_000_000, AHEAD_BYTES * 2), (5, AHEAD_BYTES), (2_000_000, -1)):
        file.seek(start)
        assert file.read(size) == (data[start:] if size < 0 else data[start : start + size])


def test_the_end_brings_what_is_before_it() -> None:
    counted = Counted(bytes(1_000_000))
    file = counted.file()
    for back in (8, 1000, 60_000):
        file.seek(-back, io.SEEK_END)
        assert len(file.read()) == back
    assert len(counted.asked) == 1


def test_a_footer_takes_one_request() -> None:
    sink = io.BytesIO()
    pq.write_table(pa.table({"a": list(range(500_000))}), sink)
    counted = Counted(sink.getvalue())
    assert len(counted.data) > AHEAD_BYTES
    assert pq.ParquetFile(counted.file()).metadata.num_rows == 500_000
    assert len(counted.asked) == 1
