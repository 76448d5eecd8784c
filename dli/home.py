"""The folder of one replica: its lock, the token of the first start, where it listens."""

from __future__ import annotations

import contextlib
import fcntl
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from dli.identity.tokens import new_secret
from storage.base.errors import BrokenError, ConflictError

TOKEN = "token"  # noqa: S105  the name of a file
ADDRESS = "url"
REPLICA = "replica"


class HomeInUseError(ConflictError):
    """Another service runs on the same home."""

    code = "home_in_use"


class HomeUnusableError(BrokenError):
    """The home cannot be made or written to."""

    code = "home_unusable"


@contextmanager
def locked_home(folder: Path) -> Iterator[Path]:
    """Make the folder (mode 0700) and keep other services off it until the block ends.

    The lock is the kernel's: it is gone with the process, however that ends. Raises
    ``HomeInUseError`` and ``HomeUnusableError``.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        descriptor = os.open(folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise HomeUnusableError(
            f"the home {folder} cannot be used: {error.strerror}",
            hint="choose another folder by DLI_HOME or --home",
        ) from error
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            owner = os.pread(descriptor, 20, 0).decode(errors="replace").strip()
            raise HomeInUseError(
                f"another service (process {owner or 'unknown'}) runs on the home {folder}",
                hint="stop it, or choose another home by DLI_HOME or --home",
            ) from error
        os.truncate(descriptor, 0)
        os.pwrite(descriptor, str(os.getpid()).encode(), 0)
        yield folder
    finally:
        os.close(descriptor)


def administrator_secret(folder: Path) -> str:
    """The token in the home; the first start makes it, readable by the owner alone."""
    path = folder / TOKEN
    if path.is_file() and (kept := path.read_text(encoding="utf-8").strip()):
        return kept
    secret = new_secret()
    write_private(path, secret + "\n")
    return secret


def replica_name(folder: Path) -> str:
    """The name of the replica whose home this is, the same after each restart.

    The home's lock makes sure that nobody else goes by it.
    """
    path = folder / REPLICA
    if path.is_file() and (kept := path.read_text(encoding="utf-8").strip()):
        return kept
    name = f"rep_{secrets.token_hex(8)}"
    write_private(path, name + "\n")
    return name


def write_private(path: Path, text: str) -> None:
    """Write a small file whole or not at all, for the owner's eyes only (mode 0600)."""
    fresh = path.with_name(f".{path.name}.new")
    with contextlib.suppress(FileNotFoundError):
        fresh.unlink()
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)
