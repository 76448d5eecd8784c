"""One chunk in the making: rows of one schema as a compressed Arrow IPC stream in memory."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator

import pyarrow as pa

from storage.base.errors import BrokenError
from storage.results.manifest import Chunk

_END = b"\xff\xff\xff\xff\0\0\0\0"  # how an IPC stream says that it ends
_CODEC = pa.Codec("zstd", compression_level=1)
_BIG = pa.ipc.IpcWriteOptions(compression=_CODEC)
#: To hand columns to other threads costs more than to pack a few rows.
_SMALL = pa.ipc.IpcWriteOptions(compression=_CODEC, use_threads=False)
_SMALL_BYTES = 64 << 10


class ResultCorruptError(BrokenError):
    """What is stored is not what was written."""

    code = "result_corrupt"


class ChunkStream:
    """Takes batches until it is finished; ``likely`` is how many bytes of rows may come."""

    def __init__(self, schema: pa.Schema, *, likely: int) -> None:
        self._sink = pa.BufferOutputStream()
        options = _SMALL if likely <= _SMALL_BYTES else _BIG
        self._writer = pa.ipc.new_stream(self._sink, schema, options=options)
        self.rows = 0

    @property
    def size(self) -> int:
        """Bytes so far; the end of the stream adds a few more."""
        return int(self._sink.tell())

    def write(self, batch: pa.RecordBatch) -> None:
        self._writer.write_batch(batch)
        self.rows += batch.num_rows

    def finish(self) -> bytes:
        """The whole stream; nothing can be written afterwards."""
        self._writer.close()
        return bytes(self._sink.getvalue().to_pybytes())


def digest(data: bytes) -> str:
    """The checksum that the manifest keeps."""
    return hashlib.sha256(data).hexdigest()


def check_chunk(chunk: Chunk, data: bytes) -> None:
    """Raise ``ResultCorruptError`` if ``data`` is not what ``chunk`` says."""
    if len(data) != chunk.bytes or digest(data) != chunk.sha256:
        raise ResultCorruptError(
            f"chunk {chunk.index} of the result is damaged",
            hint="run the statement again",
            key=chunk.key,
        )


def read_chunk(chunk: Chunk, data: bytes) -> Iterator[pa.RecordBatch]:
    """The batches of ``data``, once it is checked."""
    check_chunk(chunk, data)
    with pa.ipc.open_stream(data) as reader:
        yield from reader


def concatenated(schema: pa.Schema, streams: Iterable[bytes]) -> Iterator[bytes]:
    """Many IPC streams of ``schema`` as one, passed on as they are: nothing is unpacked."""
    with pa.BufferOutputStream() as sink:
        pa.ipc.new_stream(sink, schema).close()
        empty = sink.getvalue().to_pybytes()
    yield empty[: -len(_END)]
    for data in streams:
        start = len(pa.ipc.MessageReader.open_stream(data).read_next_message().serialize())
        yield data[start : -len(_END)]
    yield _END
