"""What every object store promises; the stores themselves are in the modules beside."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Protocol

from storage.base.errors import BrokenError, NotFoundError, UnavailableError


class ObjectMissingError(NotFoundError):
    """There is no object of that key."""

    code = "object_missing"


class StoreUnavailableError(UnavailableError):
    """The store does not answer, or refuses its credentials."""

    code = "store_unavailable"


class StoreFullError(BrokenError):
    """The disk or the bucket's quota is full."""

    code = "store_full"


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectInfo:
    """One object of a listing. ``etag`` changes whenever the object's bytes do."""

    key: str
    size: int  #: bytes
    etag: str


class ObjectStore(Protocol):
    """Objects by key. A key that we write is written once, so a read needs no version.

    Keys are relative, ``/``-separated, without empty parts or ``..``; others raise ``ValueError``.
    All methods raise ``StoreUnavailableError`` when the store cannot be reached.
    """

    def put(self, key: str, data: bytes) -> None:
        """Keep ``data`` under ``key``, whole or not at all; an object that is there is replaced.

        Raises ``StoreFullError``.
        """

    def put_file(self, key: str, path: Path) -> None:
        """As ``put``, with the bytes of a local file, in constant memory."""

    def get(self, key: str, *, start: int = 0, length: int | None = None) -> bytes:
        """Read ``length`` bytes from ``start``, to the end by default.

        A range that passes the end is cut, as a slice is. Raises ``ObjectMissingError``.
        """

    def stat(self, key: str) -> ObjectInfo:
        """Size and etag. Raises ``ObjectMissingError``."""

    def list(self, prefix: str) -> Iterator[ObjectInfo]:
        """Every object whose key starts with ``prefix``, in ascending order of the keys."""

    def delete(self, key: str) -> None:
        """Remove the object; one that is not there is no error."""

    def uri(self, key: str) -> str:
        """The address that an engine can read: ``file:///…`` or ``s3://bucket/key``."""


class LinkingStore(ObjectStore, Protocol):
    """A store whose objects others reach by signed links, without its credentials."""

    def link(self, key: str, *, method: str, lasts: timedelta) -> str:
        """A link by which anybody may ``GET`` or ``PUT`` this one object, a week at most."""
