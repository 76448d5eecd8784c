"""What a key may look like, so that it means the same object in every store."""

from __future__ import annotations

#: Names that start so are a folder store's unfinished writes; no key may have such a part.
UNFINISHED = ".unfinished-"

MAX_KEY_BYTES = 1024  # S3's own limit
MAX_PART_BYTES = 200  # file systems allow 255; an unfinished write has a longer name


def check_key(key: str) -> str:
    """``key`` itself. Raises ``ValueError`` where it would not be safe or not the same everywhere.

    Refused are absolute keys, empty parts, ``.`` and ``..``, control characters, characters that no
    XML can carry (S3 lists in XML), and what is too long for a file system or for S3.
    """
    check_characters(key)
    if len(key.encode()) > MAX_KEY_BYTES:
        raise ValueError(f"a key of {len(key.encode())} bytes is too long")
    for part in key.split("/"):
        if part in {"", ".", ".."} or part.startswith(UNFINISHED):
            raise ValueError(f"{part!r} is no part of a key: {key!r}")
        if len(part.encode()) > MAX_PART_BYTES:
            raise ValueError(f"a part of {len(part.encode())} bytes is too long: {key!r}")
    return key


def check_prefix(prefix: str) -> str:
    """As ``check_key`` for the start of keys; it may be empty and may end anywhere in a key."""
    check_characters(prefix)
    *parents, _ = prefix.split("/")
    if any(part in {"", ".", ".."} for part in parents):
        raise ValueError(f"no key starts with {prefix!r}")
    return prefix


def folder(*parts: str) -> str:
    """What the keys of all objects below these folders start with; ends with a slash.

    No part leads out of those before it: ``ValueError`` for one that is more than a plain name, so
    that whoever may reach one folder at the store reaches none of its neighbours.
    """
    key = check_key("/".join(parts))
    if key.count("/") != len(parts) - 1:
        raise ValueError(f"a folder's name has no slash: {parts!r}")
    return f"{key}/"


def check_characters(key: str) -> None:
    """Raise ``ValueError`` for control characters and what UTF-8 or XML cannot carry."""
    for character in key:
        code = ord(character)
        if code < 0x20 or code == 0x7F or 0xD800 <= code <= 0xDFFF or code & 0xFFFE == 0xFFFE:
            raise ValueError(f"{character!r} may not be in a key: {key!r}")
