"""Files that jobs are given: uploaded ones, kept once by what is in them, and objects by address.

An uploaded file is ``files/<project>/<sha256>`` in the object store with a row beside it, so the
same bytes are kept once a project, and nobody can name another project's. A file is used by the
submit that names it; one that nobody has used for long and nothing holds (``holding``) is swept.
"""

from __future__ import annotations

import hashlib
import re
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import IO, Any
from urllib.parse import quote, unquote

from sqlalchemy import BigInteger, Column, Row, String, Table, Update, delete, select, update

from jobs.lifecycle.spec import FileRef
from storage.base.clock import Clock
from storage.base.errors import InvalidInputError, NotFoundError, TooLargeError
from storage.base.ids import ProjectId
from storage.meta.database import Database, Tx
from storage.meta.inserts import insert_into
from storage.meta.schema import METADATA
from storage.meta.types import UtcDateTime
from storage.objects.api import ObjectMissingError, ObjectStore
from storage.objects.locations import Locations

files = Table(
    "files",
    METADATA,
    Column("project_id", String(64), primary_key=True),
    Column("sha256", String(64), primary_key=True),
    Column("size", BigInteger, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("last_used_at", UtcDateTime, nullable=False, index=True),
)

_SCHEME = "dli://files/"
_HASH = re.compile(r"[0-9a-f]{64}")
_NAME = re.compile(r"[^/\x00-\x1f\x7f]{1,200}")
_BLOCK = 8 << 20
_BATCH = 200  #: files of one sweep


class FileMissingError(NotFoundError):
    """There is no uploaded file of that content in the project, or no object at that address."""

    code = "file_not_found"


class FileInvalidError(InvalidInputError):
    """A file has a name that it cannot have, or its reference names no file."""

    code = "file_invalid"


class FileTooLargeError(TooLargeError):
    """A file has more bytes than may be uploaded."""

    code = "file_too_large"


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredFile:
    """An uploaded file."""

    sha256: str
    size: int
    created_at: datetime
    last_used_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class FileSettings:
    """``drafts`` is a folder of this machine for uploads that are under way."""

    drafts: Path
    max_upload: int = 512 << 20  #: bytes of one file
    kept: timedelta = timedelta(days=30)  #: since the last use


#: Project and hash of what may be needed by what is there, or was there after the moment.
Holders = Callable[[Tx, datetime], frozenset[tuple[str, str]]]


@dataclass(slots=True, kw_only=True)
class Draft:
    """An upload under way: bytes in a file of this machine, counted and hashed."""

    sink: IO[bytes]
    most: int
    keep_as: Callable[[ProjectId, str, int, Path], StoredFile]
    _digest: Any = field(default_factory=hashlib.sha256)
    _size: int = 0

    def write(self, piece: bytes) -> None:
        """Add ``piece``. Raises ``FileTooLargeError``."""
        self._size += len(piece)
        if self._size > self.most:
            raise FileTooLargeError(
                f"the file is larger than {self.most} bytes",
                hint="put it into object storage and name its address",
            )
        self._digest.update(piece)
        self.sink.write(piece)

    def keep(self, project_id: ProjectId) -> StoredFile:
        """Keep what was written, once by its content."""
        self.sink.flush()
        path = Path(self.sink.name)
        return self.keep_as(project_id, self._digest.hexdigest(), self._size, path)


class Files:
    """The files of all projects. Thread-safe."""

    def __init__(
        self,
        *,
        database: Database,
        store: ObjectStore,
        locations: Locations,
        clock: Clock,
        settings: FileSettings,
    ) -> None:
        self._database = database
        self._store = store
        self._locations = locations
        self._clock = clock
        self._settings = settings

    @contextmanager
    def draft(self) -> Iterator[Draft]:
        """A file to write piece by piece; what is not kept within the block is gone after it."""
        self._settings.drafts.mkdir(parents=True, exist_ok=True, mode=0o700)
        with tempfile.NamedTemporaryFile(dir=self._settings.drafts) as sink:
            yield Draft(sink=sink, most=self._settings.max_upload, keep_as=self._keep)

    def keep(self, project_id: ProjectId, pieces: Iterable[bytes]) -> StoredFile:
        """Keep what ``pieces`` are together, in constant memory; twice is the same as once.

        Raises ``FileTooLargeError`` at the piece that is too much; nothing is kept then.
        """
        with self.draft() as draft:
            for piece in pieces:
                draft.write(piece)
            return draft.keep(project_id)

    def keep_file(self, project_id: ProjectId, path: Path) -> StoredFile:
        """Keep a file of this machine, however large, in constant memory; twice is once."""
        with path.open("rb") as source:
            digest = hashlib.file_digest(source, "sha256").hexdigest()
            return self._keep(project_id, digest, source.tell(), path)

    def uploaded(self, project_id: ProjectId, sha256: str, *, name: str) -> FileRef:
        """A reference to an uploaded file, which counts as a use of it.

        Raises ``FileInvalidError`` for a name or a hash that cannot be, and ``FileMissingError``.
        """
        checked_name(name)
        if not _HASH.fullmatch(sha256):
            raise FileInvalidError(
                f"{sha256!r} is not a SHA-256 in lower case hexadecimal", field="sha256"
            )
        now = self._clock.now()
        with self._database.transaction() as tx:
            row = tx.execute(
                update(files)
                .where(files.c.project_id == project_id, files.c.sha256 == sha256)
                .values(last_used_at=now)
                .returning(files.c.size)
            ).first()
        if row is None or not self._present(project_id, sha256):
            raise FileMissingError(
                f"no file {sha256[:12]}… was uploaded to this project",
                hint="upload it first: POST /api/v1/files",
                sha256=sha256,
            )
        return FileRef(name=name, size=row.size, sha256=sha256)

    def located(self, uri: str, *, name: str | None = None) -> FileRef:
        """A reference to an object in an allowed place; ``name`` is the last part of its address.

        Raises what ``Locations.resolve`` does, ``FileInvalidError`` for a pattern or a folder, and
        ``FileMissingError``.
        """
        location = self._locations.resolve(uri)
        if location.glob:
            raise FileInvalidError(f"{uri} is a pattern, not one file")
        try:
            info = self._locations.stat(location.uri)
        except ObjectMissingError as error:
            raise FileMissingError(f"there is no file at {uri}", uri=uri) from error
        chosen = location.uri.rsplit("/", 1)[-1] if name is None else name
        return FileRef(name=checked_name(chosen), size=info.size, uri=location.uri)

    def fetch(self, project_id: ProjectId, ref: FileRef, path: Path) -> None:
        """Write the file that ``ref`` names to ``path``, in constant memory.

        Raises ``FileMissingError`` where it has gone since it was named.
        """
        try:
            with path.open("xb") as sink:
                for piece in self._read(project_id, ref):
                    sink.write(piece)
        except ObjectMissingError as error:
            raise FileMissingError(
                f"the file {ref.name} is not there any more",
                hint="upload it again",
                file=ref.name,
            ) from error

    def read(self, project_id: ProjectId, ref: FileRef, *, most: int) -> bytes:
        """The whole of a small file. Raises ``FileTooLargeError``, and as ``fetch``."""
        if ref.size > most:
            raise FileTooLargeError(f"{ref.name} is larger than {most} bytes")
        try:
            return b"".join(self._read(project_id, ref))
        except ObjectMissingError as error:
            raise FileMissingError(f"the file {ref.name} is not there", file=ref.name) from error

    def pieces(
        self, project_id: ProjectId, sha256: str, *, start: int = 0, end: int | None = None
    ) -> Iterator[bytes]:
        """The bytes of a kept file from ``start`` up to ``end``, which counts as a use of it.

        Raises ``FileMissingError`` at the first piece.
        """
        size = self.uploaded(project_id, sha256, name="kept").size
        stop = size if end is None else min(end, size)
        for at in range(start, stop, _BLOCK):
            length = min(_BLOCK, stop - at)
            yield self._store.get(_key(project_id, sha256), start=at, length=length)

    def sweep(self, held_files: Holders) -> int:
        """Remove uploaded files that nothing holds and nobody used for long; how many.

        ``held_files`` tells, by project and hash, what may be needed yet by what is there or was
        after a moment. To be held counts as a use: what is held hides others for a while only.
        """
        now = self._clock.now()
        before = now - self._settings.kept
        with self._database.read() as tx:
            old = tx.execute(select(files).where(files.c.last_used_at < before).limit(_BATCH)).all()
            held = held_files(tx, before) if old else frozenset()
        kept = [row for row in old if (row.project_id, row.sha256) in held]
        if kept:
            with self._database.transaction() as tx:
                for row in kept:
                    tx.execute(_one(row).values(last_used_at=now))
        return sum(self._remove(row, before) for row in old if row not in kept)

    def _keep(self, project_id: ProjectId, sha256: str, size: int, draft: Path) -> StoredFile:
        """The row first: from then on no sweep takes the object, which is put if it is absent."""
        now = self._clock.now()
        with self._database.transaction() as tx:
            row = tx.execute(
                insert_into(tx, files)
                .values(
                    project_id=project_id,
                    sha256=sha256,
                    size=size,
                    created_at=now,
                    last_used_at=now,
                )
                .on_conflict_do_update(
                    index_elements=[files.c.project_id, files.c.sha256],
                    set_={"last_used_at": now},
                )
                .returning(files)
            ).one()
        if not self._present(project_id, sha256):
            self._store.put_file(_key(project_id, sha256), draft)
        return StoredFile(
            sha256=row.sha256,
            size=row.size,
            created_at=row.created_at,
            last_used_at=row.last_used_at,
        )

    def _present(self, project_id: ProjectId, sha256: str) -> bool:
        try:
            self._store.stat(_key(project_id, sha256))
        except ObjectMissingError:
            return False
        return True

    def _read(self, project_id: ProjectId, ref: FileRef) -> Iterator[bytes]:
        if ref.uri is not None:
            size = self._locations.stat(ref.uri).size
            with self._locations.open(ref.uri, size) as source:
                while piece := source.read(_BLOCK):
                    yield piece
            return
        assert ref.sha256 is not None
        key = _key(project_id, ref.sha256)
        self._store.stat(key)
        for start in range(0, ref.size, _BLOCK):
            yield self._store.get(key, start=start, length=_BLOCK)

    def _remove(self, row: Row[Any], before: datetime) -> int:
        """The object goes while the row is locked: who uploads it meanwhile waits, and puts it."""
        with self._database.transaction() as tx:
            gone = tx.execute(
                delete(files)
                .where(
                    files.c.project_id == row.project_id,
                    files.c.sha256 == row.sha256,
                    files.c.last_used_at < before,
                )
                .returning(files.c.sha256)
            ).first()
            if gone is None:
                return 0
            self._store.delete(_key(row.project_id, row.sha256))
        return 1


def _one(row: Row[Any]) -> Update:
    return update(files).where(files.c.project_id == row.project_id, files.c.sha256 == row.sha256)


def checked_name(name: str) -> str:
    """``name`` itself if a file in a job's folder can be called so; raises ``FileInvalidError``."""
    if not _NAME.fullmatch(name) or name in {".", ".."} or len(name.encode()) > 200:
        raise FileInvalidError(
            f"{name!r} cannot name a file", hint="a plain name of 1 to 200 bytes, without a slash"
        )
    return name


def file_uri(sha256: str, name: str) -> str:
    """The address of a kept file, good within its project; ``parse_file_uri`` reads it."""
    return f"{_SCHEME}{sha256}/{quote(name)}"


def parse_file_uri(uri: str) -> tuple[str, str] | None:
    """Hash and name of what ``file_uri`` made; None for any other address."""
    if not uri.startswith(_SCHEME):
        return None
    sha256, _, name = uri.removeprefix(_SCHEME).partition("/")
    return sha256, unquote(name)


def _key(project_id: ProjectId, sha256: str) -> str:
    return f"files/{project_id}/{sha256}"
