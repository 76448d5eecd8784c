"""Arrow out of the bytes of a download."""

from __future__ import annotations

import io
from collections.abc import Iterator

import pyarrow as pa


def open_stream(pieces: Iterator[bytes]) -> pa.RecordBatchStreamReader:
    """A reader of the Arrow IPC stream that arrives in pieces; holds one batch at a time."""
    return pa.ipc.open_stream(io.BufferedReader(_PieceFile(pieces), 1 << 20))


def read_table(pieces: Iterator[bytes]) -> pa.Table:
    """All of the stream."""
    with open_stream(pieces) as reader:
        return reader.read_all()


class _PieceFile(io.RawIOBase):
    """A file over an iterator of bytes, read once from front to end."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        super().__init__()
        self._pieces = pieces
        self._rest = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: object) -> int:
        target = memoryview(buffer).cast("B")  # type: ignore[arg-type]
        while not self._rest:
            piece = next(self._pieces, None)
            if piece is None:
                return 0
            self._rest = memoryview(piece)
        size = min(len(target), len(self._rest))
        target[:size] = self._rest[:size]
        self._rest = self._rest[size:]
        return size
