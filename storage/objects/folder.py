"""Objects as plain files below one folder, durable once ``put`` returns."""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from storage.objects.api import (
    ObjectInfo,
    ObjectMissingError,
    StoreFullError,
    StoreUnavailableError,
)
from storage.objects.keys import UNFINISHED, check_key, check_prefix

_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_BLOCK = 1 << 20


class FolderStore:
    """A key is a path below ``root``; so no key may be the folder of another.

    An object is written beside its place and renamed, with the file and then the folder synced, so
    that after a power cut it is there whole or not at all. Unfinished files of a crash are not
    listed. Folders that become empty are removed.
    """

    def __init__(self, root: Path) -> None:
        with disk_errors(root):
            root.mkdir(parents=True, exist_ok=True)
            self.root = root.resolve(strict=True)

    def put(self, key: str, data: bytes) -> None:
        with self._written(key) as file:
            file.write(data)

    def put_file(self, key: str, path: Path) -> None:
        with path.open("rb") as source, self._written(key) as file:
            shutil.copyfileobj(source, file, _BLOCK)

    def get(self, key: str, *, start: int = 0, length: int | None = None) -> bytes:
        path = self._path(key)
        with disk_errors(path, key), path.open("rb") as file:
            file.seek(start)
            return file.read(-1 if length is None else length)

    def stat(self, key: str) -> ObjectInfo:
        path = self._path(key)
        with disk_errors(path, key):
            info = path.stat()
            if not path.is_file():
                raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
            return ObjectInfo(key=key, size=info.st_size, etag=etag_of(info))

    def list(self, prefix: str) -> Iterator[ObjectInfo]:
        check_prefix(prefix)
        parent, slash, _ = prefix.rpartition("/")
        return _walk(self.root / parent, parent + slash, prefix)

    def delete(self, key: str) -> None:
        path = self._path(key)
        with disk_errors(path), contextlib.suppress(FileNotFoundError, NotADirectoryError):
            path.unlink()
        for folder in path.parents:
            if folder == self.root:
                return
            try:
                folder.rmdir()
            except OSError:  # not empty, or somebody else was faster
                return

    def uri(self, key: str) -> str:
        return f"file://{self._path(key)}"

    def _path(self, key: str) -> Path:
        return self.root / check_key(key)

    @contextmanager
    def _written(self, key: str) -> Iterator[BinaryIO]:
        """A file that takes the place of ``key`` when the block ends well."""
        path = self._path(key)
        unfinished = path.with_name(UNFINISHED + secrets.token_hex(8))
        with disk_errors(path):
            try:
                with self._create(unfinished) as file:
                    yield file
                    file.flush()
                    os.fsync(file.fileno())
                unfinished.replace(path)
            except BaseException:
                with contextlib.suppress(OSError):
                    unfinished.unlink()
                raise
            _sync_folder(path.parent)

    def _create(self, path: Path) -> BinaryIO:
        """Open a new file; a concurrent ``delete`` may remove the empty folder meanwhile."""
        for _ in range(100):
            self._make_folder(path.parent)
            with contextlib.suppress(FileNotFoundError):
                return path.open("xb")
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(path))

    def _make_folder(self, folder: Path) -> None:
        """Make ``folder`` and its parents, each new name synced in the folder that holds it."""
        if folder.is_dir():
            return
        if folder != self.root:
            self._make_folder(folder.parent)
        try:
            folder.mkdir()
        except FileExistsError:
            if not folder.is_dir():
                raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR)) from None
        except FileNotFoundError:  # the parent was removed again: _create retries
            return
        else:
            _sync_folder(folder.parent)


def etag_of(info: os.stat_result) -> str:
    """Changes whenever a file is written again or replaced."""
    return f"{info.st_mtime_ns:x}-{info.st_size:x}-{info.st_ino:x}"


def _walk(folder: Path, path: str, prefix: str) -> Iterator[ObjectInfo]:
    """The objects below ``folder``, whose keys start with ``path``, in the order of the keys.

    A folder sorts as its name and a slash: ``a.b`` comes before ``a/b``, as it does in S3.
    """
    try:
        with disk_errors(folder):
            entries = sorted(
                (entry.name + "/" if entry.is_dir() else entry.name, entry)
                for entry in os.scandir(folder)
                if not entry.name.startswith(UNFINISHED)
            )
    except ObjectMissingError:
        return
    for name, entry in entries:
        key = path + name
        if entry.is_dir():
            if key.startswith(prefix) or prefix.startswith(key):
                yield from _walk(folder / entry.name, key, prefix)
        elif key.startswith(prefix):
            with contextlib.suppress(FileNotFoundError):  # deleted while we walk
                info = entry.stat()
                yield ObjectInfo(key=key, size=info.st_size, etag=etag_of(info))


def _sync_folder(folder: Path) -> None:
    """Make the names in ``folder`` durable; one that was removed again needs nothing."""
    try:
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    except FileNotFoundError:
        return
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextmanager
def disk_errors(path: Path, key: str | None = None) -> Iterator[None]:
    """Turn what the operating system says into the errors of the contract."""
    try:
        yield
    except (FileNotFoundError, IsADirectoryError, NotADirectoryError) as error:
        if isinstance(error, FileNotFoundError) or key is not None:
            raise ObjectMissingError(f"there is no object {key or path}", key=key) from error
        raise ValueError(f"{path} or its parent is both an object and a folder") from error
    except OSError as error:
        if error.errno in _FULL:
            raise StoreFullError(
                f"no space is left for {path}", hint="free space on the disk of the store"
            ) from error
        raise StoreUnavailableError(f"{path}: {error.strerror}", errno=error.errno) from error
