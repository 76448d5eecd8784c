"""What a run writes, in segments of a log that is let go from its beginning.

A segment is named by its stream and the offset at which it begins. Only the standard library, as
in ``identity``.
"""

from __future__ import annotations

import contextlib
import os

PART = 1 << 20  #: bytes that are read at once


class SegmentLog:
    """The last bytes of one stream, between half of ``limit`` and all of it, in two segments.

    ``echo`` is a file that gets all of it as well, as far as it takes it.
    """

    def __init__(self, folder: str, stream: str, limit: int, *, echo: int | None = None) -> None:
        self._echo = echo
        self._prefix = os.path.join(folder, stream)
        self._half = max(limit // 2, 1)
        self._names: list[str] = []
        self._end = 0
        self._size = 0
        self._file = self._segment()

    def take(self, source: int) -> bool:
        """Move what is there from ``source`` to the log; False at its end.

        What the disk does not take is lost, and the run goes on.
        """
        data = os.read(source, 65536)
        if not data:
            return False
        if self._echo is not None:
            with contextlib.suppress(OSError):
                os.write(self._echo, data)
        with contextlib.suppress(OSError):
            while data:
                data = data[self._append(data) :]
        return True

    def drain(self, source: int) -> None:
        """Move all that is in the pipe, and wait for nothing."""
        os.set_blocking(source, False)
        try:
            while self.take(source):
                pass
        except BlockingIOError:
            return

    def _append(self, data: bytes) -> int:
        """Write a beginning of ``data``; how long it is."""
        if self._size >= self._half:
            following = self._segment()
            os.close(self._file)
            self._file = following
        written = os.write(self._file, data[: self._half - self._size])
        self._size += written
        self._end += written
        return written

    def _segment(self) -> int:
        name = f"{self._prefix}.{self._end:020d}.log"
        opened = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        self._names.append(name)
        self._size = 0
        for old in self._names[:-2]:
            os.unlink(old)
        self._names = self._names[-2:]
        return opened


def read_log(folder: str, stream: str, offset: int) -> tuple[int, bytes]:
    """The bytes from ``offset`` on, and where they begin: later, if the beginning was let go."""
    parts: list[bytes] = []
    at = offset
    for begin, name in _segments(folder, stream):
        try:
            with open(os.path.join(folder, name), "rb") as file:
                if not parts:
                    at = max(offset, begin)
                file.seek(max(at - begin, 0))
                parts.append(file.read())
        except FileNotFoundError:  # let go while we looked
            continue
    return at, b"".join(parts)


def read_start(path: str, offset: int) -> tuple[int, bytes]:
    """From ``offset`` on, of the first part of a file that holds all; nothing if there is none."""
    try:
        with open(path, "rb") as file:
            file.seek(offset)
            return offset, file.read(max(PART - offset, 0))
    except FileNotFoundError:
        return offset, b""


def _segments(folder: str, stream: str) -> list[tuple[int, str]]:
    try:
        names = os.listdir(folder)
    except (FileNotFoundError, NotADirectoryError):
        return []
    split = [(name.split("."), name) for name in names]
    return sorted((int(parts[1]), name) for parts, name in split if _is_of(parts, stream))


def _is_of(parts: list[str], stream: str) -> bool:
    return len(parts) == 3 and parts[0] == stream and parts[2] == "log"
