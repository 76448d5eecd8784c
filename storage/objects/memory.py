"""Objects in this process's memory, for tests and for trying things out."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from pathlib import Path

from storage.objects.api import ObjectInfo, ObjectMissingError
from storage.objects.keys import check_key, check_prefix


class MemoryStore:
    """Gone with the process. An engine, being another process, cannot read its addresses."""

    def __init__(self) -> None:
        self._lock = threading.Lock()  # guards _objects
        self._objects: dict[str, bytes] = {}

    def put(self, key: str, data: bytes) -> None:
        with self._lock:
            self._objects[check_key(key)] = bytes(data)

    def put_file(self, key: str, path: Path) -> None:
        self.put(key, path.read_bytes())

    def get(self, key: str, *, start: int = 0, length: int | None = None) -> bytes:
        data = self._read(key)
        return data[start:] if length is None else data[start : start + length]

    def stat(self, key: str) -> ObjectInfo:
        return _info(key, self._read(key))

    def list(self, prefix: str) -> Iterator[ObjectInfo]:
        check_prefix(prefix)
        with self._lock:
            found = sorted(item for item in self._objects.items() if item[0].startswith(prefix))
        return (_info(key, data) for key, data in found)

    def delete(self, key: str) -> None:
        with self._lock:
            self._objects.pop(check_key(key), None)

    def uri(self, key: str) -> str:
        return f"memory:///{check_key(key)}"

    def _read(self, key: str) -> bytes:
        check_key(key)
        with self._lock:
            data = self._objects.get(key)
        if data is None:
            raise ObjectMissingError(f"there is no object {key}", key=key)
        return data


def _info(key: str, data: bytes) -> ObjectInfo:
    return ObjectInfo(key=key, size=len(data), etag=hashlib.sha256(data).hexdigest()[:32])
