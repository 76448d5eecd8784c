"""Places outside our own storage that people may name: local folders and buckets.

Everything that a user writes as a path passes here, so this is where what may be read is decided:
local files only below the allowed folders with all links resolved, buckets only if a setting names
them, and nothing of what is ours. Paths are taken literally, percent signs included.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO, cast

from storage.base.errors import ForbiddenError, InvalidInputError
from storage.objects.api import ObjectInfo, ObjectMissingError, ObjectStore
from storage.objects.buckets import S3Settings, bucket_store
from storage.objects.folder import disk_errors, etag_of
from storage.objects.globs import MAGIC, Glob, GlobError, compile_glob, split_glob
from storage.objects.keys import check_characters, check_key, check_prefix
from storage.objects.ranges import RangeFile


class InvalidLocationError(InvalidInputError):
    """A text that names no place."""

    code = "invalid_location"


class LocationForbiddenError(ForbiddenError):
    """A local path, or a link's target, that lies outside the allowed folders."""

    code = "location_forbidden"


class UnknownBucketError(ForbiddenError):
    """A bucket that no setting names."""

    code = "unknown_bucket"


@dataclass(frozen=True, slots=True, kw_only=True)
class Location:
    """A folder, a file or a pattern of both. ``bucket`` is None on this machine's disk.

    ``path`` is absolute with links resolved on a disk, else relative to the bucket; a pattern's
    path ends before the first part with a pattern, and ``glob`` is the rest.
    """

    bucket: str | None
    path: str
    glob: str = ""

    @property
    def uri(self) -> str:
        """The canonical text, without a slash at the end."""
        path = "/".join(filter(None, (self.path.rstrip("/"), self.glob)))
        if self.bucket is None:
            return f"file://{path or '/'}"
        return f"s3://{self.bucket}/{path}".rstrip("/")


class Locations:
    """What may be read, and the reading of it.

    ``private`` are URIs of folders that are allowed for the service alone, such as its warehouse:
    they cannot be registered, nor files in them be listed.
    """

    def __init__(
        self,
        *,
        folders: Sequence[Path],
        s3: S3Settings | None,
        buckets: Sequence[str],
        private: Sequence[str] = (),
    ) -> None:
        self._folders = tuple(str(folder.resolve()) for folder in folders)
        self._s3 = s3
        self._buckets: Mapping[str, ObjectStore] = (
            {bucket: bucket_store(bucket, "", s3) for bucket in buckets} if s3 else {}
        )
        self._private = tuple(self._parse(uri).uri for uri in private)

    def resolve(self, text: str) -> Location:
        """The place that ``text`` names; whether something is there is not looked at.

        Accepts ``/path``, ``file:///path``, ``s3://bucket/path`` and ``s3a://…``. Raises
        ``InvalidLocationError``, ``LocationForbiddenError`` or ``UnknownBucketError``.
        """
        location = self._parse(text)
        self._require_allowed(location)
        self._require_public(Location(bucket=location.bucket, path=location.path).uri)
        return location

    def files(self, text: str) -> list[ObjectInfo]:
        """The data files of a place, by address in ascending order; empty if nothing is there.

        Each ``key`` is an absolute URI. A folder gives all below it, partition folders included.
        Left out are empty files and names that start with ``_`` or ``.`` (but ``_a=1`` is a
        partition). Raises what ``resolve`` does, also for a link that leads out of bounds.
        """
        location = self.resolve(text)
        glob = compile_glob(location.glob) if location.glob else None
        if location.bucket is None:
            found = self._disk_files(location, glob)
        else:
            found = self._s3_files(location)
        base = Location(bucket=location.bucket, path=location.path).uri.rstrip("/") + "/"
        kept = []
        for info in found:
            below = info.key.removeprefix(base)
            hidden = info.key.startswith(base) and any(map(_hidden, below.split("/")))
            if info.size and not hidden and (glob is None or glob.matches(below)):
                self._require_public(info.key)
                kept.append(info)
        return sorted(kept, key=lambda info: info.key)

    def stat(self, uri: str) -> ObjectInfo:
        """Size and etag of one file by its absolute URI. Raises ``ObjectMissingError``."""
        location = self._literal(uri)
        if location.bucket is not None:
            return replace(self._store(location.bucket).stat(location.path), key=uri)
        path = Path(location.path)
        with disk_errors(path, uri):
            info = path.stat()
        if not path.is_file():
            raise ObjectMissingError(f"{uri} is no file", key=uri)
        return ObjectInfo(key=uri, size=info.st_size, etag=etag_of(info))

    def open(self, uri: str, size: int) -> BinaryIO:
        """A seekable file that fetches only what is read; ``size`` is that of the listing.

        Raises ``ObjectMissingError`` here for a disk, at the first read for a bucket.
        """
        location = self._literal(uri)
        if location.bucket is None:
            with disk_errors(Path(location.path), uri):
                return Path(location.path).open("rb")
        store = self._store(location.bucket)
        key = location.path
        return cast(
            "BinaryIO",
            RangeFile(lambda start, length: store.get(key, start=start, length=length), size),
        )

    def engine_environment(self) -> dict[str, str]:
        """What an engine needs in its environment to reach the buckets; holds secrets."""
        if self._s3 is None:
            return {}
        return {
            "AWS_ACCESS_KEY_ID": self._s3.access_key,
            "AWS_SECRET_ACCESS_KEY": self._s3.secret_key,
            "AWS_REGION": self._s3.region,
            "AWS_ENDPOINT": f"{'https' if self._s3.secure else 'http'}://{self._s3.endpoint}",
            "AWS_ALLOW_HTTP": "false" if self._s3.secure else "true",
        }

    def _parse(self, text: str) -> Location:
        match = re.match(r"([A-Za-z][A-Za-z0-9+.-]*):(?://)?(.*)", text, re.DOTALL)
        scheme, rest = (match[1].lower(), match[2]) if match else ("file", text)
        try:
            if scheme == "file":
                return _on_disk(rest, text)
            if scheme in {"s3", "s3a"}:
                return _in_bucket(rest)
        except GlobError as error:
            raise InvalidLocationError(str(error)) from error
        except ValueError as error:  # a control character, an empty part, …
            raise InvalidLocationError(f"{text!r} is no usable path: {error}") from error
        raise InvalidLocationError(
            f"{scheme}:// is not supported", hint="use a path, file:///… or s3://bucket/…"
        )

    def _literal(self, uri: str) -> Location:
        """The place of a URI that a listing gave, in which nothing is a pattern."""
        scheme, _, rest = uri.partition("://")
        if scheme == "file":
            location = Location(bucket=None, path=rest)
        else:
            bucket, _, key = rest.partition("/")
            location = Location(bucket=bucket, path=check_key(key))
        self._require_allowed(location)
        return location

    def _require_allowed(self, location: Location) -> None:
        if location.bucket is not None:
            self._store(location.bucket)
        elif not _within(os.path.realpath(location.path), self._folders):
            raise LocationForbiddenError(
                f"{location.path} is not below a folder that may be read",
                hint="start the service with --allow-path and a folder above it",
            )

    def _store(self, bucket: str) -> ObjectStore:
        store = self._buckets.get(bucket)
        if store is None:
            raise UnknownBucketError(
                f"no setting of the service names the bucket {bucket}",
                hint="add it to the service's list of buckets",
                bucket=bucket,
            )
        return store

    def _require_public(self, uri: str) -> None:
        scheme, _, path = uri.partition("://")
        real = f"file://{os.path.realpath(path)}" if scheme == "file" else uri
        if _within(real, self._private):
            raise LocationForbiddenError(f"{uri} belongs to the service itself")

    def _s3_files(self, location: Location) -> Iterator[ObjectInfo]:
        assert location.bucket is not None
        store = self._store(location.bucket)
        folder = location.path.rstrip("/")
        empty = True
        literal = MAGIC.split(location.glob)[0]
        for info in store.list((folder + "/" if folder else "") + literal):
            empty = False
            yield replace(info, key=store_uri(location.bucket, info.key))
        if empty and folder and not location.glob:
            try:
                info = store.stat(folder)
            except ObjectMissingError:
                return
            yield replace(info, key=store_uri(location.bucket, folder))

    def _disk_files(self, location: Location, glob: Glob | None) -> Iterator[ObjectInfo]:
        path = Path(location.path)
        if path.is_dir():
            yield from self._walk(path, "", glob, ())
        elif path.is_file() and not location.glob:
            yield self.stat(f"file://{path}")

    def _walk(
        self, folder: Path, below: str, glob: Glob | None, above: tuple[str, ...]
    ) -> Iterator[ObjectInfo]:
        """Files below, through links that stay within bounds; a loop of links is entered once."""
        real = os.path.realpath(folder)
        if real in above:
            return
        self._require_allowed(Location(bucket=None, path=real))
        with disk_errors(folder):
            entries = list(os.scandir(folder))
        for entry in entries:
            path = below + entry.name
            if _hidden(entry.name):
                continue
            if entry.is_dir():
                if glob is None or glob.may_hold(path):
                    yield from self._walk(folder / entry.name, path + "/", glob, (*above, real))
            elif entry.is_file():
                yield self.stat(f"file://{folder / entry.name}")


def store_uri(bucket: str, key: str) -> str:
    """The address of an object in a bucket."""
    return f"s3://{bucket}/{key}"


def _hidden(name: str) -> bool:
    """As in Spark: what engines write beside the data, and unfinished files."""
    return name.startswith(".") or (name.startswith("_") and "=" not in name)


def _within(path: str, folders: Sequence[str]) -> bool:
    return any(path == folder or path.startswith(folder.rstrip("/") + "/") for folder in folders)


#: Bytes, as Linux has them.
_LONGEST_NAME, _LONGEST_PATH = 255, 4095


def _on_disk(path: str, text: str) -> Location:
    if not path.startswith("/"):
        raise InvalidLocationError(
            f"{text!r} is not an absolute path", hint="write it from the root: /data/orders"
        )
    check_characters(path)
    folder, glob = split_glob(path)
    names = os.fsencode(folder).split(b"/")
    if len(os.fsencode(folder)) > _LONGEST_PATH or max(map(len, names)) > _LONGEST_NAME:
        raise ValueError("it is too long")
    if ".." in glob.split("/"):
        raise ValueError(".. after a pattern")
    if glob:
        compile_glob(glob)
    return Location(bucket=None, path=os.path.realpath(folder or "/"), glob=glob.rstrip("/"))


def _in_bucket(rest: str) -> Location:
    bucket, _, path = rest.partition("/")
    if not bucket:
        raise InvalidLocationError("the bucket is missing", hint="write s3://bucket/path")
    check_prefix(path)
    folder, glob = split_glob(path)
    if glob:
        compile_glob(glob)
    return Location(bucket=bucket, path=folder.strip("/"), glob=glob.rstrip("/"))
