"""From batches to chunks: sizes, limits, previews, and nothing left after an abort."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from storage.base.ids import JobId, ProjectId
from storage.objects.api import StoreFullError
from storage.objects.folder import FolderStore
from storage.objects.memory import MemoryStore
from storage.results.chunks import ResultCorruptError, read_chunk
from storage.results.manifest import Manifest
from storage.results.types import ResultValueError
from storage.results.writer import PREVIEW_BYTES, ResultWriter, pieces

PROJECT, JOB = ProjectId("sales"), JobId("stm_1")
KIB = 1 << 10


class FullStore(MemoryStore):
    """Takes some objects and no more."""

    def __init__(self, room: int) -> None:
        super().__init__()
        self.room = room

    def put(self, key: str, data: bytes) -> None:
        if not self.room:
            raise StoreFullError("no space is left")
        self.room -= 1
        super().put(key, data)


def writer(store: MemoryStore | None = None, **options: Any) -> ResultWriter:
    return ResultWriter(
        store or MemoryStore(), project_id=PROJECT, job_id=JOB, attempt=2, **options
    )


def numbers(*counts: int) -> list[pa.RecordBatch]:
    """Batches of so many rows, numbered through."""
    starts = [sum(counts[:index]) for index in range(len(counts))]
    return [
        pa.record_batch({"n": pa.array(range(start, start + count), pa.int64())})
        for start, count in zip(starts, counts, strict=True)
    ]


def noise(rows: int, width: int) -> pa.RecordBatch:
    """Rows that do not compress."""
    return pa.record_batch({"b": [os.urandom(width) for _ in range(rows)]})


def written(writer: ResultWriter, batches: Iterable[pa.RecordBatch]) -> Manifest:
    for batch in batches:
        if not writer.write(batch):
            break
    return writer.close()


def rows(manifest: Manifest, store: MemoryStore) -> list[Any]:
    found: list[Any] = []
    for chunk in manifest.chunks:
        data = store.get(chunk.key) if chunk.key else chunk.data
        assert data is not None
        assert (chunk.bytes, chunk.sha256) == (len(data), hashlib.sha256(data).hexdigest())
        table = pa.ipc.open_stream(data).read_all()
        assert table.num_rows == chunk.rows
        found += table.column(0).to_pylist()
    return found


def keys(store: MemoryStore) -> list[str]:
    return [info.key for info in store.list("")]


def test_small_result_goes_along_in_the_manifest() -> None:
    store = MemoryStore()
    manifest = written(writer(store), numbers(3, 2))
    assert rows(manifest, store) == [0, 1, 2, 3, 4]
    assert [chunk.key for chunk in manifest.chunks] == [None]
    assert keys(store) == []
    assert manifest.preview == [["0"], ["1"], ["2"], ["3"], ["4"]]
    assert (manifest.rows, manifest.truncated, manifest.truncated_by) == (5, False, None)


def test_large_result_becomes_chunks_within_the_size() -> None:
    store = MemoryStore()
    manifest = written(writer(store, chunk_bytes=3 << 20), (noise(1000, 1000) for _ in range(10)))
    assert len(manifest.chunks) >= 4
    assert all(chunk.bytes <= 3 << 20 for chunk in manifest.chunks)
    assert [chunk.index for chunk in manifest.chunks] == list(range(len(manifest.chunks)))
    names = [f"{n:05}.arrow" for n in range(len(manifest.chunks))]
    assert keys(store) == [f"project-results/sales/stm_1/2/{name}" for name in names]
    assert sum(chunk.rows for chunk in manifest.chunks) == manifest.rows == 10_000
    assert sum(chunk.bytes for chunk in manifest.chunks) == manifest.bytes
    assert len(rows(manifest, store)) == 10_000


def test_one_chunk_over_the_inline_size_is_an_object() -> None:
    store = MemoryStore()
    manifest = written(writer(store, inline_bytes=10 * KIB), [noise(20, KIB)])
    assert [chunk.key for chunk in manifest.chunks] == ["project-results/sales/stm_1/2/00000.arrow"]


def test_no_rows_have_a_schema_and_no_chunk() -> None:
    manifest = written(writer(), numbers(0))
    assert (manifest.rows, manifest.bytes, manifest.chunks, manifest.preview) == (0, 0, (), [])
    assert manifest.schema == pa.schema({"n": pa.int64()})


def test_no_batch_at_all_has_the_declared_schema() -> None:
    made = writer()
    made.declare(pa.schema({"s": pa.large_string()}))
    assert made.close().schema == pa.schema({"s": pa.string()})
    assert writer().close().schema == pa.schema([])


def test_rows_without_columns_are_counted() -> None:
    empty = pa.RecordBatch.from_struct_array(pa.array([{}] * 3, pa.struct([])))
    manifest = written(writer(), [empty])
    assert (manifest.rows, manifest.preview) == (3, [[], [], []])


@given(counts=st.lists(st.integers(0, 5), max_size=6), limit=st.integers(0, 20))
def test_row_limit_is_exact(counts: list[int], limit: int) -> None:
    store, total = MemoryStore(), sum(counts)
    manifest = written(writer(store, max_rows=limit), numbers(*counts))
    assert rows(manifest, store) == list(range(min(total, limit)))
    assert manifest.truncated == (total > limit)
    assert manifest.truncated_by == ("rows" if total > limit else None)


def test_row_limit_that_is_just_met_truncates_nothing() -> None:
    made = writer(max_rows=5)
    assert [made.write(batch) for batch in numbers(3, 2, 0)] == [True, True, True]
    assert not made.close().truncated


def test_writes_after_a_limit_change_nothing() -> None:
    made = writer(max_rows=2)
    assert [made.write(batch) for batch in numbers(3, 3)] == [False, False]
    assert made.close().rows == 2


def test_byte_limit_stops_soon_after_it_is_met() -> None:
    store = MemoryStore()
    made = writer(store, max_bytes=2 << 20, chunk_bytes=1 << 20)
    manifest = written(made, (noise(1000, 1000) for _ in range(10)))
    assert manifest.truncated_by == "bytes"
    assert 2 << 20 <= manifest.bytes < 4 << 20
    assert len(rows(manifest, store)) == manifest.rows


def test_byte_limit_beyond_the_end_truncates_nothing() -> None:
    assert not written(writer(max_bytes=1), numbers(5)).truncated
    assert written(writer(max_bytes=1), numbers(5, 1)).truncated


def test_preview_ends_at_its_size() -> None:
    batch = pa.record_batch({"s": ["x" * 1000] * 5000, "n": range(5000)})
    preview = written(writer(), [batch]).preview
    size = len(json.dumps(preview, separators=(",", ":")))
    assert PREVIEW_BYTES - 3000 < size <= PREVIEW_BYTES
    assert [row[1] for row in preview] == [str(number) for number in range(len(preview))]


def test_preview_leaves_out_a_row_that_is_too_big_and_what_follows() -> None:
    batch = pa.record_batch({"s": ["a", "x" * PREVIEW_BYTES, "b"]})
    assert written(writer(), [batch]).preview == [["a"]]


def test_types_are_normal_in_chunks_and_preview() -> None:
    store = MemoryStore()
    batch = pa.record_batch(
        {"s": pa.array(["x"]).dictionary_encode(), "u": pa.array([1], pa.uint8())}
    )
    manifest = written(writer(store), [batch])
    assert manifest.schema == pa.schema({"s": pa.string(), "u": pa.int16()})
    assert manifest.preview == [["x", 1]]


def test_a_later_batch_of_another_type_follows_the_first() -> None:
    store = MemoryStore()
    narrow = pa.record_batch({"n": pa.array([7], pa.int32())})
    assert rows(written(writer(store), [*numbers(1), narrow]), store) == [0, 7]
    with pytest.raises(ResultValueError):
        written(writer(store), [*numbers(1), pa.record_batch({"n": ["x"]})])


@given(st.lists(st.integers(0, 400), max_size=20))
@settings(deadline=None)
def test_pieces_are_the_same_rows(sizes: list[int]) -> None:
    batch = pa.record_batch({"s": ["x" * (size * KIB * 10) for size in sizes]})
    parts = list(pieces(batch))
    assert pa.Table.from_batches(parts, batch.schema).equals(pa.Table.from_batches([batch]))
    assert all(part.num_rows == 1 or part.nbytes <= 3 << 20 for part in parts)


def test_abort_leaves_nothing() -> None:
    store = MemoryStore()
    made = writer(store, chunk_bytes=1 << 20)
    for _ in range(4):
        made.write(noise(1000, 1000))
    assert made.bytes > 3 << 20
    made.abort()
    made.abort()
    assert keys(store) == []


@pytest.mark.parametrize("room", [0, 2])
def test_a_full_store_fails_the_result_and_abort_cleans_up(room: int) -> None:
    store = FullStore(room)
    made = writer(store, chunk_bytes=1 << 20)
    with pytest.raises(StoreFullError):
        written(made, (noise(1000, 1000) for _ in range(6)))
    made.abort()
    assert keys(store) == []


def test_a_changed_chunk_is_not_read(tmp_path: Path) -> None:
    store = FolderStore(tmp_path)
    made = ResultWriter(store, project_id=PROJECT, job_id=JOB, attempt=1, inline_bytes=0)
    made.write(noise(10, 100))
    (chunk,) = made.close().chunks
    assert chunk.key is not None
    data = bytearray((tmp_path / chunk.key).read_bytes())
    data[len(data) // 2] ^= 1
    with pytest.raises(ResultCorruptError, match="chunk 0"):
        next(read_chunk(chunk, bytes(data)))
    with pytest.raises(ResultCorruptError):
        next(read_chunk(chunk, store.get(chunk.key)[:-1]))
