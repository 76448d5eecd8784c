"""A seekable file over an object of which only the touched ranges are fetched."""

from __future__ import annotations

import io
from collections.abc import Callable

TAIL_BYTES = 64 << 10  #: a Parquet footer mostly fits, so that one request is enough
AHEAD_BYTES = 256 << 10

#: ``fetch(start, length)`` gives exactly those bytes, as they are within the object's size.
Fetch = Callable[[int, int], bytes]


class RangeFile(io.RawIOBase):
    """Reads through ``fetch`` with one remembered range; for readers that jump, such as pyarrow."""

    def __init__(self, fetch: Fetch, size: int) -> None:
        super().__init__()
        self._fetch = fetch
        self._size = size
        self._at = 0
        self._known_from = 0
        self._known = b""

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence]
        if base + offset < 0:
            raise ValueError(f"a seek to {base + offset}, before the start")
        self._at = base + offset
        return self._at

    def read(self, size: int | None = -1) -> bytes:
        """Up to ``size`` bytes, fewer only at the end of the object."""
        if self.closed:
            raise ValueError("read of a closed file")
        left = max(self._size - self._at, 0)
        wanted = left if size is None or size < 0 else min(size, left)
        if not wanted:
            return b""
        if not self._covers(self._at, wanted):
            self._remember(wanted)
        start = self._at - self._known_from
        self._at += wanted
        return self._known[start : start + wanted]

    def readall(self) -> bytes:
        return self.read()

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        data = self.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)

    def _covers(self, start: int, length: int) -> bool:
        return self._known_from <= start and start + length <= self._known_from + len(self._known)

    def _remember(self, wanted: int) -> None:
        """Near the end fetch the whole tail, as footers are read from their last bytes on."""
        tail = max(self._size - TAIL_BYTES, 0)
        start = min(self._at, tail) if self._at + wanted == self._size else self._at
        length = min(max(wanted, AHEAD_BYTES), self._size - start)
        length = max(length, self._at + wanted - start)
        self._known_from, self._known = start, self._fetch(start, length)
