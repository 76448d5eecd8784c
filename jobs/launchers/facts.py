"""Small files that say what happened to a run: whole or not there, also after a power cut.

Only the standard library, as in ``identity``.
"""

from __future__ import annotations

import fcntl
import json
import os
import threading
from typing import Any


def write(folder: str, name: str, facts: dict[str, Any], *, lasting: bool = True) -> None:
    """Put the facts there, over those that are there. ``lasting``: a power cut loses them not."""
    draft = _draft(folder, name)
    with open(draft, "w") as file:
        json.dump(facts, file)
        if lasting:
            file.flush()
            os.fsync(file.fileno())
    os.replace(draft, os.path.join(folder, name))
    if lasting:
        _sync(folder)


def claim(folder: str, name: str, facts: dict[str, Any]) -> bool:
    """Put the facts there unless there are some; whether it was us who did."""
    draft = _draft(folder, name)
    with open(draft, "w") as file:
        json.dump(facts, file)
        file.flush()
        os.fsync(file.fileno())
    try:
        os.link(draft, os.path.join(folder, name))
    except FileExistsError:
        return False
    finally:
        os.unlink(draft)
    _sync(folder)
    return True


def touch(folder: str, name: str, at: float) -> None:
    """Let a file tell the moment ``at``: by its time, which a full disk takes as well."""
    path = os.path.join(folder, name)
    os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600))
    os.utime(path, (at, at))


def touched(folder: str, name: str) -> float | None:
    """What ``touch`` let the file tell; None where there is none."""
    try:
        return os.stat(os.path.join(folder, name)).st_mtime
    except (FileNotFoundError, NotADirectoryError):
        return None


def read(folder: str, name: str) -> dict[str, Any] | None:
    """The facts, or None where there are none."""
    try:
        with open(os.path.join(folder, name)) as file:
            facts: dict[str, Any] = json.load(file)
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError, json.JSONDecodeError):
        return None
    return facts


def lock(folder: str, *, wait: bool) -> int | None:
    """The run's lock, held until the file that is returned is closed; None if another has it.

    A warden holds it as long as it lives, so who gets it knows that there is none.
    """
    file = os.open(os.path.join(folder, "lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(file, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(file)
        return None
    return file


def _draft(folder: str, name: str) -> str:
    return os.path.join(folder, f".{name}.{os.getpid()}.{threading.get_ident()}")


def _sync(folder: str) -> None:
    directory = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)
