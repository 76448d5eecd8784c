"""Files as requests name them, and what becomes of them in the spec of a job."""

from __future__ import annotations

from dataclasses import dataclass

from jobs.errors import RequestInvalidError
from jobs.files import Files
from jobs.lifecycle.spec import FileRef
from storage.base.ids import ProjectId


@dataclass(frozen=True, slots=True, kw_only=True)
class GivenFile:
    """A file of a request: uploaded before (``sha256``) or an object (``uri``), one of both."""

    name: str | None = None
    sha256: str | None = None
    uri: str | None = None


def file_ref(files: Files, project_id: ProjectId, given: GivenFile, field: str) -> FileRef:
    """The file that is named; counts as a use of it.

    Raises ``RequestInvalidError`` for ``field``, and what ``Files`` raises.
    """
    if (given.sha256 is None) == (given.uri is None):
        raise _wrong(field, "a file is named either by its sha256 or by its uri")
    if given.uri is not None:
        return files.located(given.uri, name=given.name)
    assert given.sha256 is not None
    if given.name is None:
        raise _wrong(field, "an uploaded file needs a name")
    return files.uploaded(project_id, given.sha256, name=given.name)


def _wrong(field: str, message: str) -> RequestInvalidError:
    return RequestInvalidError(f"{field}: {message}", field=field)
