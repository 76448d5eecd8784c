"""Results in the database and their objects: published, read, expired, swept."""

from __future__ import annotations

import hashlib
import io
import sqlite3
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from typing import Any

import psycopg
import pyarrow as pa
import pytest
from sqlalchemy.exc import IntegrityError

from storage.base.clock import ManualClock
from storage.base.ids import JobId, ProjectId
from storage.meta.database import Database
from storage.objects.memory import MemoryStore
from storage.results.chunks import ResultCorruptError
from storage.results.manifest import Manifest
from storage.results.results import (
    ChunkMissingError,
    ResultDeletedError,
    ResultExpiredError,
    ResultMissingError,
    Results,
)
from storage.results.writer import ResultWriter

JOB, PROJECT = JobId("stm_1"), ProjectId("default")
OWN = f"project-results/{PROJECT}/"
TTL = timedelta(hours=1)


class World:
    """The parts that a result touches."""

    def __init__(self, database: Database) -> None:
        self.database, self.store, self.clock = database, MemoryStore(), ManualClock()
        self.results = Results(database, self.store, self.clock)

    def write(
        self, job: str = JOB, attempt: int = 1, *, rows: int = 5, inline: int = 0
    ) -> Manifest:
        writer = ResultWriter(
            self.store,
            project_id=PROJECT,
            job_id=JobId(job),
            attempt=attempt,
            inline_bytes=inline,
            chunk_bytes=1,
        )
        for number in range(rows):
            writer.write(pa.record_batch({"n": [number]}))
        return writer.close()

    def publish(self, job: str = JOB, attempt: int = 1, **options: Any) -> Manifest:
        manifest = self.write(job, attempt, **options)
        self.save(manifest, job, attempt)
        return manifest

    def publish_former(self, job: str = JOB, **options: Any) -> Manifest:
        """As ``publish``, where results lay before each project had a folder for them."""
        manifest = self.write(job, **options)
        chunks = []
        for chunk in manifest.chunks:
            assert chunk.key is not None
            key = chunk.key.replace(OWN, "results/")
            self.store.put(key, self.store.get(chunk.key))
            self.store.delete(chunk.key)
            chunks.append(replace(chunk, key=key))
        manifest = replace(manifest, chunks=tuple(chunks))
        self.save(manifest, job)
        return manifest

    def save(self, manifest: Manifest, job: str = JOB, attempt: int = 1) -> None:
        with self.database.transaction() as tx:
            self.results.save(
                tx, job_id=JobId(job), project_id=PROJECT, attempt=attempt, manifest=manifest,
                expires_at=self.clock.now() + TTL,
            )  # fmt: skip

    def manifest(self, job: str = JOB) -> Manifest:
        with self.database.read() as tx:
            return self.results.manifest(tx, JobId(job))

    def delete(self, job: str = JOB) -> None:
        with self.database.transaction() as tx:
            self.results.delete(tx, JobId(job))

    def keys(self) -> list[str]:
        return [info.key.removeprefix(OWN) for info in self.store.list("")]

    def values(self, chunk: int | None = None) -> list[int]:
        batches = self.results.batches(self.manifest(), chunk)
        return [value for batch in batches for value in batch.column(0).to_pylist()]


@pytest.fixture
def world(database: Database) -> World:
    return World(database)


def never(_: JobId) -> bool:
    return False


@pytest.mark.parametrize("inline", [0, 1 << 20])
def test_manifest_comes_back_as_it_was_saved(world: World, inline: int) -> None:
    saved = world.publish(rows=1, inline=inline)
    found = world.manifest()
    assert found.expires_at == world.clock.now() + TTL
    for name in ("schema", "rows", "bytes", "truncated", "truncated_by", "chunks", "preview"):
        assert getattr(found, name) == getattr(saved, name), name
    assert world.values() == [0]


def test_column_metadata_comes_back(world: World) -> None:
    writer = ResultWriter(world.store, project_id=PROJECT, job_id=JOB, attempt=1)
    writer.write(pa.record_batch({"i": pa.array([1], pa.duration("us"))}))
    saved = writer.close()
    world.save(saved)
    assert world.manifest().schema.equals(saved.schema, check_metadata=True)


def test_empty_result_has_no_rows_to_read(world: World) -> None:
    writer = ResultWriter(world.store, project_id=PROJECT, job_id=JOB, attempt=1)
    writer.declare(pa.schema({"n": pa.int64()}))
    world.save(writer.close())
    assert world.values() == []
    stream = b"".join(world.results.stream(world.manifest()))
    assert pa.ipc.open_stream(stream).read_all().schema == pa.schema({"n": pa.int64()})


def test_batches_are_of_all_chunks_or_of_one(world: World) -> None:
    assert len(world.publish(rows=5).chunks) == 5
    assert world.values() == [0, 1, 2, 3, 4]
    assert world.values(chunk=3) == [3]


@pytest.mark.parametrize("chunk", [-1, 5])
def test_chunk_out_of_range_is_told_at_once(world: World, chunk: int) -> None:
    manifest = world.publish(rows=5)
    with pytest.raises(ChunkMissingError):
        world.results.batches(manifest, chunk)
    with pytest.raises(ChunkMissingError):
        world.results.stream(manifest, chunk)


def test_stream_is_one_arrow_stream(world: World) -> None:
    manifest = world.publish(rows=5)
    table = pa.ipc.open_stream(io.BytesIO(b"".join(world.results.stream(manifest)))).read_all()
    assert table.column("n").to_pylist() == [0, 1, 2, 3, 4]


def test_stream_of_a_chunk_has_the_checksum_of_the_manifest(world: World) -> None:
    manifest = world.publish(rows=5)
    data = b"".join(world.results.stream(manifest, 2))
    assert hashlib.sha256(data).hexdigest() == manifest.chunks[2].sha256


def test_damaged_object_is_told(world: World) -> None:
    manifest = world.publish(rows=2)
    key = manifest.chunks[1].key
    assert key is not None
    world.store.put(key, world.store.get(key)[:-1] + b"x")
    batches = world.results.batches(manifest)
    next(batches)
    with pytest.raises(ResultCorruptError, match="chunk 1"):
        next(batches)
    with pytest.raises(ResultCorruptError):
        list(world.results.stream(manifest))


def test_unknown_job_has_no_result(world: World) -> None:
    with pytest.raises(ResultMissingError):
        world.manifest()
    with pytest.raises(ResultMissingError):
        world.delete()


def test_job_has_one_result_at_most(world: World) -> None:
    manifest = world.publish()
    with pytest.raises((IntegrityError, sqlite3.IntegrityError, psycopg.IntegrityError)):
        world.save(manifest, attempt=2)


def test_unsaved_result_is_no_result(world: World) -> None:
    manifest = world.write()
    with pytest.raises(ZeroDivisionError), world.database.transaction() as tx:
        world.results.save(
            tx, job_id=JOB, project_id=PROJECT, attempt=1, manifest=manifest,
            expires_at=world.clock.now() + 1 // 0 * TTL,
        )  # fmt: skip
    with pytest.raises(ResultMissingError):
        world.manifest()


def test_result_expires_at_its_moment(world: World) -> None:
    world.publish()
    world.clock.advance(TTL - timedelta(milliseconds=1))
    assert world.results.expire() == 0
    assert world.values() == [0, 1, 2, 3, 4]
    world.clock.advance(timedelta(milliseconds=1))
    with pytest.raises(ResultExpiredError, match="2026-01-01T01:00:00Z"):
        world.manifest()


def test_expiry_removes_the_objects_once(world: World) -> None:
    world.publish("stm_1", rows=3)
    world.publish("stm_2", rows=1, inline=1000)
    world.clock.advance(TTL)
    world.publish("stm_3", rows=1)
    assert world.results.expire() == 4  # two ended, two swept
    assert world.keys() == ["stm_3/1/00000.arrow"]
    assert world.results.expire() == 0
    with pytest.raises(ResultExpiredError):
        world.manifest("stm_2")


def test_expiry_repeats_what_a_crash_left(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.publish(rows=3)
    world.clock.advance(TTL)
    with monkeypatch.context() as broken:
        broken.setattr(world.store, "delete", _fail)
        with pytest.raises(ConnectionError):
            world.results.expire()
    assert len(world.keys()) == 3
    assert world.results.expire() == 1
    assert world.keys() == []


def _fail(_: str) -> None:
    raise ConnectionError


def test_deleted_result_is_gone_and_its_objects_follow(world: World) -> None:
    manifest = world.publish()
    world.delete()
    world.delete()
    with pytest.raises(ResultDeletedError):
        world.manifest()
    assert world.results.expire() == 1
    assert world.keys() == []
    with pytest.raises(ResultExpiredError, match="while it was read"):
        list(world.results.batches(manifest))
    world.clock.advance(2 * TTL)
    with pytest.raises(ResultDeletedError):
        world.manifest()


def test_delete_is_undone_with_its_transaction(world: World) -> None:
    world.publish()
    with suppress(ZeroDivisionError), world.database.transaction() as tx:
        world.results.delete(tx, JOB)
        raise ZeroDivisionError
    world.results.expire()
    assert world.values() == [0, 1, 2, 3, 4]


def test_discard_takes_one_attempt_only(world: World) -> None:
    world.write(attempt=1, rows=1)
    world.write(attempt=11, rows=1)
    assert world.results.discard(PROJECT, JOB, 1) == 1
    assert world.results.discard(PROJECT, JOB, 1) == 0
    assert world.keys() == ["stm_1/11/00000.arrow"]


def test_sweep_keeps_what_is_published_or_may_be(world: World) -> None:
    world.write("stm_1", attempt=1, rows=2)
    world.publish("stm_1", attempt=2, rows=1)
    world.store.put(f"{OWN}stm_1/2/spill/part-0.parquet", b"")  # left by the engine
    world.write("stm_2", attempt=1, rows=1)  # still running
    world.write("stm_3", attempt=1, rows=1)  # of a job that is lost
    live: Callable[[JobId], bool] = lambda job: job == "stm_2"  # noqa: E731
    assert world.results.sweep(live=live) == 4
    assert world.keys() == ["stm_1/2/00000.arrow", "stm_2/1/00000.arrow"]
    assert world.results.sweep(live=live) == 0


def test_sweep_keeps_what_lies_where_it_lay_before(world: World) -> None:
    world.publish_former("stm_1", rows=1)
    world.publish("stm_2", rows=1)
    for key in ("stm_1/1/spill/part-0.parquet", "stm_3/1/00000.arrow", "stm_4/1/00000.arrow"):
        world.store.put(f"results/{key}", b"")
    world.store.put("project-results/other/stm_5/1/00000.arrow", b"")  # of a job that is lost
    live: Callable[[JobId], bool] = lambda job: job == "stm_3"  # noqa: E731
    assert world.results.sweep(live=live) == 3
    assert world.keys() == [
        "stm_2/1/00000.arrow", "results/stm_1/1/00000.arrow", "results/stm_3/1/00000.arrow",
    ]  # fmt: skip
    assert world.values() == [0]


def test_a_result_from_before_is_read_until_it_expires(world: World) -> None:
    manifest = world.publish_former(rows=3)
    world.publish_former("stm_2", rows=2)
    assert world.values() == [0, 1, 2]
    world.clock.advance(TTL)
    assert world.results.expire() == 4  # two ended, two swept
    assert world.keys() == []
    with pytest.raises(ResultExpiredError, match="while it was read"):
        list(world.results.batches(manifest))


def test_sweep_takes_late_objects_of_a_removed_result(world: World) -> None:
    world.publish(rows=1)
    world.delete()
    world.results.expire()
    world.write(rows=1)  # a stray writer that nobody could stop
    assert world.results.sweep(live=never) == 1
    assert world.keys() == []


def test_sweep_leaves_other_objects_alone(world: World) -> None:
    world.store.put("tables/tbl_1/data/x", b"")
    odd = ["results/odd", "results/stm_1/odd", "project-results/odd", f"{OWN}stm_1/odd"]
    for key in odd:
        world.store.put(key, b"")
    assert world.results.sweep(live=never) == 0
    assert len(list(world.store.list(""))) == 5
