"""From the batches of an engine to the chunks of a result, in constant memory."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import pyarrow as pa

from storage.base.ids import JobId, ProjectId
from storage.objects.api import ObjectStore
from storage.objects.keys import folder
from storage.results.chunks import ChunkStream, digest
from storage.results.manifest import Bytes, Chunk, Manifest
from storage.results.render import json_rows
from storage.results.types import normal_schema, normalise

CHUNK_BYTES = 8 << 20
INLINE_BYTES = 256 << 10
PREVIEW_BYTES = 1 << 20
_SLICE_BYTES = 1 << 20  #: of rows that are packed at a time, before compression
_PREVIEW_ROWS = 256  #: that are turned into JSON at a time


#: Below it a folder for each project, in it one for each job.
RESULTS = "project-results"


def attempt_prefix(project_id: ProjectId, job_id: JobId, attempt: int) -> str:
    """What the keys of all objects of one attempt start with."""
    return folder(RESULTS, project_id, job_id, str(attempt))


class ResultWriter:
    """Packs, cuts and stores the rows of one attempt; ``close`` or ``abort`` ends it.

    A chunk has at most ``chunk_bytes``, unless one megabyte of rows or a single row is bigger. A
    result of one chunk of at most ``inline_bytes`` becomes no object but goes along in the
    manifest. Not for several threads at once. Chunks are hashed and stored by a thread of its own,
    one at a time, so that a slow store and the packing overlap.
    """

    def __init__(
        self,
        store: ObjectStore,
        *,
        project_id: ProjectId,
        job_id: JobId,
        attempt: int,
        chunk_bytes: int = CHUNK_BYTES,
        inline_bytes: int = INLINE_BYTES,
        max_rows: int | None = None,
        max_bytes: int | None = None,
    ) -> None:
        self._store = store
        self._prefix = attempt_prefix(project_id, job_id, attempt)
        self._chunk_bytes = chunk_bytes
        self._inline_bytes = inline_bytes
        self._max_rows = max_rows
        self._max_bytes = max_bytes
        self._schema: pa.Schema | None = None
        self._stream: ChunkStream | None = None
        self._chunks: list[Chunk] = []
        self._uploads: ThreadPoolExecutor | None = None
        self._upload: Future[Chunk] | None = None
        self._count = 0  #: chunks that were handed to the uploads
        self._packed = 0  #: their bytes
        self._preview = _Preview()
        self._truncated_by: str | None = None
        self.rows = 0

    @property
    def bytes(self) -> int:
        """Of all chunks so far, compressed."""
        return self._packed + (self._stream.size if self._stream else 0)

    def declare(self, schema: pa.Schema) -> None:
        """Tell the columns of a result that may have no batch at all; the first word counts.

        Raises ``UnsupportedResultTypeError``.
        """
        if self._schema is None:
            self._schema = normal_schema(schema)

    def write(self, batch: pa.RecordBatch) -> bool:
        """Add rows; false when a limit is met and more rows are of no use.

        Rows beyond ``max_rows`` are left out. A result that has reached ``max_bytes`` takes no more
        rows. Raises ``UnsupportedResultTypeError``, ``ResultValueError`` and what the store does.
        """
        self.declare(batch.schema)
        if not batch.num_rows:
            return self._truncated_by is None
        for piece in pieces(batch):
            if self._truncated_by is None:
                self._add(piece)
        return self._truncated_by is None

    def _add(self, piece: pa.RecordBatch) -> None:
        if self._max_bytes is not None and self.bytes >= self._max_bytes:
            self._truncated_by = "bytes"
            return
        if self._max_rows is not None and self.rows + piece.num_rows > self._max_rows:
            self._truncated_by = "rows"
            piece = piece.slice(0, self._max_rows - self.rows)
            if not piece.num_rows:
                return
        assert self._schema is not None
        rows = normalise(piece, self._schema)
        self._preview.add(rows)
        if self._stream and self._stream.size + rows.nbytes > self._chunk_bytes:
            self._put(self._stream)
            self._stream = None
        self._stream = self._stream or ChunkStream(self._schema, likely=rows.nbytes)
        self._stream.write(rows)
        self.rows += rows.num_rows

    def close(self) -> Manifest:
        """Finish the last chunk and wait until all are stored."""
        schema = pa.schema([]) if self._schema is None else self._schema
        try:
            if self._stream:
                self._put_last(self._stream)
            self._await_upload()
        finally:
            self._end()
        return Manifest(
            schema=schema,
            rows=self.rows,
            bytes=sum(chunk.bytes for chunk in self._chunks),
            truncated=self._truncated_by is not None,
            truncated_by=self._truncated_by,
            chunks=tuple(self._chunks),
            preview=self._preview.rows,
        )

    def abort(self) -> None:
        """Stop, and remove what is stored already; what a broken store keeps, the sweep finds."""
        self._end()
        self._stream = None
        for index in range(self._count):
            self._store.delete(self._key(index))

    def _put_last(self, stream: ChunkStream) -> None:
        if self._count or stream.size > self._inline_bytes:
            self._put(stream)
        else:
            data = stream.finish()
            chunk = Chunk(
                index=0, rows=stream.rows, bytes=len(data), sha256=digest(data), data=data
            )
            self._chunks.append(chunk)
        self._stream = None

    def _put(self, stream: ChunkStream) -> None:
        """Store a chunk in the background, after the one before it is stored."""
        data = stream.finish()
        self._await_upload()
        if self._uploads is None:
            self._uploads = ThreadPoolExecutor(1, thread_name_prefix="result-upload")
        self._upload = self._uploads.submit(self._stored, self._count, stream.rows, data)
        self._count += 1
        self._packed += len(data)

    def _stored(self, index: int, rows: int, data: Bytes) -> Chunk:
        key = self._key(index)
        self._store.put(key, data)
        return Chunk(index=index, rows=rows, bytes=len(data), sha256=digest(data), key=key)

    def _key(self, index: int) -> str:
        return f"{self._prefix}{index:05}.arrow"

    def _await_upload(self) -> None:
        upload, self._upload = self._upload, None
        if upload:
            self._chunks.append(upload.result())

    def _end(self) -> None:
        """Let go of the thread, after what it is doing."""
        if self._uploads:
            self._uploads.shutdown(wait=True)


class _Preview:
    """The first rows in wire form, as long as their JSON is within the limit."""

    def __init__(self) -> None:
        self.rows: list[list[Any]] = []
        self._left = PREVIEW_BYTES

    def add(self, batch: pa.RecordBatch) -> None:
        """Take what still fits; the first row that does not ends it."""
        for start in range(0, batch.num_rows, _PREVIEW_ROWS):
            if self._left <= 0:
                return
            text = json_rows(batch.slice(start, _PREVIEW_ROWS))
            rows = json.loads(b"[" + text + b"]")
            if len(text) <= self._left:
                self._left -= len(text) + 1
                self.rows.extend(rows)
            else:
                self._take_some(rows)

    def _take_some(self, rows: list[list[Any]]) -> None:
        for row in rows:
            text = json.dumps(row, ensure_ascii=False, separators=(",", ":"))
            size = len(text.encode()) + 1
            if size > self._left:
                self._left = 0
                return
            self._left -= size
            self.rows.append(row)


def pieces(batch: pa.RecordBatch) -> Iterator[pa.RecordBatch]:
    """The rows in parts of about ``_SLICE_BYTES``, cut again where some rows are much bigger."""
    if batch.nbytes <= _SLICE_BYTES or batch.num_rows <= 1:
        yield batch
        return
    parts = min(-(-batch.nbytes // _SLICE_BYTES), batch.num_rows)
    step = -(-batch.num_rows // parts)
    for start in range(0, batch.num_rows, step):
        part = batch.slice(start, step)
        if part.nbytes > 2 * _SLICE_BYTES and part.num_rows > 1:
            yield from pieces(part)
        else:
            yield part
