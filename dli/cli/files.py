"""Bytes that commands write: to our standard output, or to a file, which is whole or not there."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from dli.cli.session import UsageError


def check_folder(path: Path) -> None:
    """Raise ``UsageError`` where no file can be made as ``path``."""
    if path.is_dir():
        raise UsageError(f"{path} is a folder: name a file in it")
    if not path.parent.is_dir():
        raise UsageError(f"there is no folder {path.parent}")


def copy_pieces(pieces: Iterable[bytes], into: Path | None = None) -> None:
    """Bytes to a file, or to standard output as they are. Raises as ``check_folder``."""
    if into is None:
        sys.stdout.buffer.writelines(pieces)
        sys.stdout.buffer.flush()
        return
    with whole_file(into.expanduser()) as file:
        file.writelines(pieces)


@contextmanager
def whole_file(path: Path) -> Iterator[BinaryIO]:
    """A file beside ``path`` that takes its place at the end, and vanishes on any error.

    What is there already and no file, such as a device or a pipe, is written to as it is; a link
    stays, and what it leads to is replaced. Raises as ``check_folder``.
    """
    check_folder(path)
    real = Path(os.path.realpath(path))
    if real.exists() and not real.is_file():
        with real.open("wb") as file:
            yield file
        return
    descriptor, name = tempfile.mkstemp(prefix=f".{real.name}.", dir=real.parent)
    temporary = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        mask = os.umask(0)
        os.umask(mask)
        temporary.chmod(0o666 & ~mask)
        temporary.replace(real)
    finally:
        temporary.unlink(missing_ok=True)
