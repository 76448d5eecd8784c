"""The tars in which a run's files travel: made without a copy of them, unpacked without trust.

Only the standard library, and of that what Python 3.11.0 had.
"""

from __future__ import annotations

import os
import shutil
import tarfile
from collections.abc import Collection, Iterable, Iterator

_BLOCK = 1 << 20


class Tar:
    """A tar of files that do not change any more: its length is known before it is read.

    ``given`` are paths with the names that they get.
    """

    def __init__(self, given: Iterable[tuple[str, str]]) -> None:
        self._members = [(path, _info(path, name)) for path, name in given]
        heads = sum(len(info.tobuf(tarfile.PAX_FORMAT)) for _, info in self._members)
        bodies = sum(_padded(info.size) for _, info in self._members)
        self.length = heads + bodies + 2 * tarfile.BLOCKSIZE

    def __iter__(self) -> Iterator[bytes]:
        for path, info in self._members:
            yield info.tobuf(tarfile.PAX_FORMAT)
            if info.isfile():
                with open(path, "rb") as file:
                    while data := file.read(_BLOCK):
                        yield data
                yield bytes(_padded(info.size) - info.size)
        yield bytes(2 * tarfile.BLOCKSIZE)


def below(top: str, root: str) -> Iterator[tuple[str, str]]:
    """A file or folder and all in it, named by their way from ``root``; no links, nothing special.

    Folders come before what is in them. Nothing, where there is nothing.
    """
    if os.path.isfile(top) and not os.path.islink(top):
        yield top, os.path.relpath(top, root)
    for folder, folders, names in os.walk(top):
        folders.sort()
        yield folder, os.path.relpath(folder, root)
        for name in sorted(names):
            path = os.path.join(folder, name)
            if os.path.isfile(path) and not os.path.islink(path):
                yield path, os.path.relpath(path, root)


def unpack(tar: tarfile.TarFile, target: str, *, without: Collection[str] = ()) -> None:
    """Files and folders of the tar, whoever made it: nothing comes to lie outside of ``target``.

    Anything else, such as a link, is passed over, and so are the names ``without``.
    """
    for member in tar:
        parts = [part for part in member.name.split("/") if part not in ("", ".")]
        if not parts or ".." in parts or "/".join(parts) in without:
            continue
        path = os.path.join(target, *parts)
        if member.isdir():
            os.makedirs(path, mode=0o700, exist_ok=True)
        elif member.isfile():
            os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
            source = tar.extractfile(member)
            assert source is not None
            with open(path, "wb") as file:
                shutil.copyfileobj(source, file, _BLOCK)
            os.chmod(path, (member.mode & 0o700) | 0o600)


def _info(path: str, name: str) -> tarfile.TarInfo:
    found = os.stat(path)
    info = tarfile.TarInfo(name)
    info.mode = found.st_mode & 0o700
    info.mtime = int(found.st_mtime)
    if os.path.isdir(path):
        info.type = tarfile.DIRTYPE
    else:
        info.size = found.st_size
    return info


def _padded(size: int) -> int:
    return -(-size // tarfile.BLOCKSIZE) * tarfile.BLOCKSIZE
