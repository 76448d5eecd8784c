"""Published results: found by their job, read with their checksums, and removed in time.

A result exists from the transaction that saves its manifest on. Objects are written before a row
says so and removed after, so a crash leaves at worst objects without a row, which ``sweep`` finds.
"""

from __future__ import annotations

import itertools
import logging
import operator
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from typing import Any

import pyarrow as pa
from sqlalchemy import RowMapping, delete, insert, select, update

from storage.base.clock import Clock
from storage.base.errors import GoneError, NotFoundError
from storage.base.ids import JobId, ProjectId
from storage.meta.database import Database, Tx
from storage.meta.prepared import Prepared
from storage.objects.api import ObjectMissingError, ObjectStore
from storage.results.chunks import check_chunk, concatenated, read_chunk
from storage.results.manifest import Chunk, Manifest
from storage.results.rows import results
from storage.results.writer import RESULTS, attempt_prefix

log = logging.getLogger(__name__)

_AT_ONCE = 100  #: results that one tick removes
_PUBLISH = Prepared(insert(results))

#: Folders of results, and how deep in them those of jobs are; the second from before each project
#: had one.
_FOLDERS = ((RESULTS, 2), ("results", 1))


class ResultMissingError(NotFoundError):
    """The job has no result: it has not ended well, or gives none."""

    code = "result_missing"


class ResultExpiredError(GoneError):
    """The result was kept for as long as asked."""

    code = "result_expired"


class ResultDeletedError(GoneError):
    """Somebody deleted the result."""

    code = "result_deleted"


class ChunkMissingError(NotFoundError):
    """The result has fewer chunks."""

    code = "result_chunk_missing"


class Results:
    """All results of one service; ``store`` is the warehouse."""

    def __init__(self, database: Database, store: ObjectStore, clock: Clock) -> None:
        self._database = database
        self._store = store
        self._clock = clock

    def save(
        self,
        tx: Tx,
        *,
        job_id: JobId,
        project_id: ProjectId,
        attempt: int,
        manifest: Manifest,
        expires_at: datetime,
    ) -> None:
        """Publish a result with the caller's transaction; a job has one result at most."""
        only = manifest.chunks[0] if len(manifest.chunks) == 1 else None
        _PUBLISH.run(
            tx,
            {
                "job_id": job_id,
                "project_id": project_id,
                "attempt": attempt,
                "schema": manifest.schema.serialize().to_pybytes(),
                "rows": manifest.rows,
                "bytes": manifest.bytes,
                "truncated": manifest.truncated,
                "truncated_by": manifest.truncated_by,
                "chunks": [[c.rows, c.bytes, c.sha256, c.key] for c in manifest.chunks],
                "data": only.data if only else None,
                "preview": manifest.preview,
                "expires_at": expires_at,
            },
        )

    def manifest(self, tx: Tx, job_id: JobId) -> Manifest:
        """What the result of ``job_id`` consists of.

        Raises ``ResultMissingError``, ``ResultExpiredError`` (from the very moment on, whether or
        not it is removed already) or ``ResultDeletedError``.
        """
        row = tx.execute(select(results).where(results.c.job_id == job_id)).mappings().first()
        if row is None:
            raise ResultMissingError(f"{job_id} has no result", job=job_id)
        if row["removed_by"] == "request":
            raise ResultDeletedError(f"the result of {job_id} was deleted", job=job_id)
        if row["removed_at"] is not None or row["expires_at"] <= self._clock.now():
            raise _expired(job_id, row["expires_at"])
        return _manifest(row)

    def batches(self, manifest: Manifest, chunk: int | None = None) -> Iterator[pa.RecordBatch]:
        """The rows of one chunk, or of all in order; one chunk is in memory at a time.

        Raises ``ChunkMissingError`` at once; ``ResultCorruptError`` for a chunk that is not what
        was written and ``ResultExpiredError`` for one that was removed meanwhile, when its turn
        comes.
        """
        chosen = _chosen(manifest, chunk)
        return (batch for one in chosen for batch in read_chunk(one, self._fetch(one)))

    def stream(self, manifest: Manifest, chunk: int | None = None) -> Iterator[bytes]:
        """As ``batches``, as one Arrow IPC stream (zstd), passed on without being unpacked.

        The bytes of a single chunk are those that the manifest's checksum is of.
        """
        chosen = _chosen(manifest, chunk)
        if chunk is not None:
            return (self._checked(one) for one in chosen)
        return concatenated(manifest.schema, (self._checked(one) for one in chosen))

    def delete(self, tx: Tx, job_id: JobId) -> None:
        """Take the result away with the caller's transaction; ``expire`` removes its objects.

        A result that is gone already stays as it is. Raises ``ResultMissingError``.
        """
        if not self._remove(tx, job_id, by="request"):
            known = select(results.c.job_id).where(results.c.job_id == job_id)
            if tx.execute(known).first() is None:
                raise ResultMissingError(f"{job_id} has no result", job=job_id)

    def forget(self, tx: Tx, job_ids: Sequence[JobId]) -> list[JobId]:
        """Drop the rows of results whose objects are gone; those of ``job_ids`` that have none now.

        A result that is there still is taken away, so that its row can be dropped the next time.
        """
        left: set[JobId] = set()
        rows = tx.execute(
            select(results.c.job_id, results.c.swept_at).where(results.c.job_id.in_(job_ids))
        ).all()
        for row in rows:
            if row.swept_at is None:
                self._remove(tx, row.job_id, by="expiry")
                left.add(JobId(row.job_id))
        gone = [job_id for job_id in job_ids if job_id not in left]
        tx.execute(delete(results).where(results.c.job_id.in_(gone)))
        return gone

    def expire(self) -> int:
        """One tick: end results whose time is over, remove objects of ended ones; counts both."""
        now = self._clock.now()
        due = results.c.removed_at.is_(None) & (results.c.expires_at <= now)
        with self._database.transaction() as tx:
            ended = tx.execute(select(results.c.job_id).where(due).limit(_AT_ONCE)).scalars().all()
            for job_id in ended:
                self._remove(tx, job_id, by="expiry")
        waiting = results.c.removed_at.is_not(None) & results.c.swept_at.is_(None)
        with self._database.read() as tx:
            found = tx.execute(
                select(results.c.job_id, results.c.chunks).where(waiting).limit(_AT_ONCE)
            ).all()
        for job_id, chunks in found:
            for key in _keys(chunks):
                self._store.delete(key)
            with self._database.transaction() as tx:
                tx.execute(update(results).where(results.c.job_id == job_id).values(swept_at=now))
        if ended:
            log.info("results expired", extra={"count": len(ended)})
        return len(ended) + len(found)

    def discard(self, project_id: ProjectId, job_id: JobId, attempt: int) -> int:
        """Remove the objects of an attempt that was not published; may be repeated."""
        prefix = attempt_prefix(project_id, job_id, attempt)
        keys = [info.key for info in self._store.list(prefix)]
        for key in keys:
            self._store.delete(key)
        return len(keys)

    def sweep(self, *, live: Callable[[JobId], bool]) -> int:
        """Remove objects that belong to no published result; gives how many.

        ``live`` says whether a job may still write or publish: nothing of such a job is touched. It
        is asked before the rows are read, so that a job that ends in between keeps its result.
        """
        removed = 0
        for job_id, keys in self._listed():
            if live(job_id):
                continue
            for key in keys - self._published(job_id):
                self._store.delete(key)
                removed += 1
        if removed:
            log.info("orphaned objects removed", extra={"count": removed})
        return removed

    def _listed(self) -> Iterator[tuple[JobId, set[str]]]:
        """The keys of all attempts, job by job as they are listed."""
        for top, depth in _FOLDERS:
            listed = (info.key.split("/") for info in self._store.list(f"{top}/"))
            of_jobs = (parts for parts in listed if len(parts) > depth + 2)
            for job_id, keys in itertools.groupby(of_jobs, operator.itemgetter(depth)):
                yield JobId(job_id), {"/".join(parts) for parts in keys}

    def _published(self, job_id: JobId) -> set[str]:
        """The keys that must stay: what an engine left beside the chunks is not among them."""
        kept = select(results.c.chunks).where(
            results.c.job_id == job_id, results.c.removed_at.is_(None)
        )
        with self._database.read() as tx:
            return _keys(tx.execute(kept).scalar() or [])

    def _remove(self, tx: Tx, job_id: str, *, by: str) -> bool:
        """False if there is nothing to remove (any more)."""
        removed = tx.execute(
            update(results)
            .where(results.c.job_id == job_id, results.c.removed_at.is_(None))
            .values(removed_at=self._clock.now(), removed_by=by, data=None, preview=[])
            .returning(results.c.job_id)
        ).first()
        return removed is not None

    def _checked(self, chunk: Chunk) -> bytes:
        data = self._fetch(chunk)
        check_chunk(chunk, data)
        return data

    def _fetch(self, chunk: Chunk) -> bytes:
        if chunk.data is not None:
            return chunk.data
        assert chunk.key is not None
        try:
            return self._store.get(chunk.key)
        except ObjectMissingError as error:
            raise ResultExpiredError(
                "the result was removed while it was read", hint="run the statement again"
            ) from error


def _expired(job_id: JobId, at: datetime) -> ResultExpiredError:
    return ResultExpiredError(
        f"the result of {job_id} expired at {at:%Y-%m-%dT%H:%M:%SZ}",
        hint="run the statement again, with a longer time to live if needed",
        job=job_id,
    )


def _chosen(manifest: Manifest, chunk: int | None) -> tuple[Chunk, ...]:
    if chunk is None:
        return manifest.chunks
    if not 0 <= chunk < len(manifest.chunks):
        raise ChunkMissingError(
            f"there is no chunk {chunk}", hint=f"the result has {len(manifest.chunks)} chunks"
        )
    return (manifest.chunks[chunk],)


def _keys(chunks: list[list[Any]]) -> set[str]:
    """Those of the chunks that are objects."""
    return {key for _, _, _, key in chunks if key is not None}


def _manifest(row: RowMapping) -> Manifest:
    stored: list[list[Any]] = row["chunks"]
    return Manifest(
        schema=pa.ipc.read_schema(pa.py_buffer(row["schema"])),
        rows=row["rows"],
        bytes=row["bytes"],
        truncated=row["truncated"],
        truncated_by=row["truncated_by"],
        chunks=tuple(
            Chunk(
                index=index,
                rows=rows,
                bytes=size,
                sha256=sha256,
                key=key,
                data=row["data"] if key is None else None,
            )
            for index, (rows, size, sha256, key) in enumerate(stored)
        ),
        preview=row["preview"],
        expires_at=row["expires_at"],
    )
