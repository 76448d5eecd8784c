"""A result that the engine wrote as Parquet files, read back in order and in constant memory."""

from __future__ import annotations

from collections.abc import Iterator

import pyarrow as pa
import pyarrow.parquet as pq

from jobs.lifecycle.job import Job
from storage.objects.api import ObjectInfo, ObjectStore
from storage.objects.ranges import RangeFile
from storage.results.writer import attempt_prefix

_ROWS = 16_384  # of a batch


def spill_key(job: Job) -> str:
    """Where the engine writes; below the attempt's objects, so that whoever removes these finds
    it."""
    return f"{attempt_prefix(job.project_id, job.id, job.attempt)}spill"


def read_spilled(store: ObjectStore, key: str) -> tuple[pa.Schema | None, Iterator[pa.RecordBatch]]:
    """The schema and all rows, in the order in which the engine numbered its files.

    Spark numbers them by partition, so a sorted result stays sorted. No files: no schema.
    """
    files = [info for info in store.list(f"{key}/") if _holds_rows(info)]
    if not files:
        return None, iter(())
    with pq.ParquetFile(_open(store, files[0])) as first:
        schema = first.schema_arrow
    return schema, _batches(store, files)


def remove_spilled(store: ObjectStore, key: str) -> None:
    """Remove the files; what a broken store keeps, the sweep finds."""
    for info in list(store.list(f"{key}/")):
        store.delete(info.key)


def _batches(store: ObjectStore, files: list[ObjectInfo]) -> Iterator[pa.RecordBatch]:
    for info in files:
        with pq.ParquetFile(_open(store, info), pre_buffer=False) as file:
            yield from file.iter_batches(batch_size=_ROWS)


def _open(store: ObjectStore, info: ObjectInfo) -> RangeFile:
    return RangeFile(
        lambda start, length: store.get(info.key, start=start, length=length), info.size
    )


def _holds_rows(info: ObjectInfo) -> bool:
    name = info.key.rpartition("/")[2]
    return info.size > 0 and not name.startswith(("_", "."))
