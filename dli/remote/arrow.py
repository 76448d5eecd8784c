"""Arrow out of the bytes of a download."""

from __future__ import annotations

import io
from collections.abc import Iterator

import pyarrow as pa


def read_table(pieces: Iterator[bytes]) -> pa.Table:
    """The table in an Arrow IPC stream that arrives in pieces."""
    with pa.ipc.open_stream(io.BufferedReader(_Pieces(pieces), 1 << 20)) as reader:
        return reader.read_all()


class _Pieces(io.RawIOBase):
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
