"""What a command left, kept by its content as uploaded files are, so that other jobs can use it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from jobs.files import Files, file_uri
from jobs.lifecycle.events import Fault
from jobs.tasks.errors import OutputMissingError, TaskOutputError
from jobs.tasks.spec import STDOUT
from storage.base.ids import ProjectId
from storage.objects.api import StoreFullError, StoreUnavailableError

T = TypeVar("T")
Patiently = Callable[[Callable[[], T]], T]

_MOST_FILES = 1000
_WILD = frozenset("*?[")


@dataclass(frozen=True, slots=True, kw_only=True)
class Output:
    """One file that a task left; ``name`` is its path in the task's folder, or ``stdout``."""

    name: str
    size: int
    sha256: str

    def facts(self) -> dict[str, Any]:
        """As JSON. ``uri`` is what other jobs of the project can name it by."""
        last = self.name.rsplit("/", 1)[-1]
        uri = file_uri(self.sha256, last)
        return {"name": self.name, "size": self.size, "sha256": self.sha256, "uri": uri}


def find_output(facts: Mapping[str, Any], name: str) -> Output:
    """The output of that name in what is known of a task. Raises ``OutputMissingError``."""
    for each in facts.get("outputs") or ():
        if each["name"] == name:
            return Output(name=name, size=each["size"], sha256=each["sha256"])
    raise OutputMissingError(f"the task has no output {name!r}", output=name)


def keep_outputs(
    files: Files, project_id: ProjectId, found: Mapping[str, Path], patiently: Patiently[Output]
) -> list[Output]:
    """Keep these files, in constant memory each; ``patiently`` tries each again while it must."""

    def keep(name: str, path: Path) -> Output:
        try:
            kept = files.keep_file(project_id, path)
        except StoreFullError as error:  # room may come; what was computed is not thrown away
            raise StoreUnavailableError("the object store is full") from error
        return Output(name=name, size=kept.size, sha256=kept.sha256)

    return [
        patiently(lambda name=name, path=path: keep(name, path))  # type: ignore[misc]
        for name, path in found.items()
    ]


def find_files(folder: Path, patterns: Sequence[str], *, stdout: Path) -> dict[str, Path]:
    """By name: the files below ``folder`` that fit a pattern in the order of these, then stdout.

    Links are never followed: they might lead out of the folder. Raises ``TaskOutputError`` for a
    plain name of which there is no file, and for too many files.
    """
    found: dict[str, Path] = {}
    for pattern in patterns:
        fitting = dict(_fitting(folder, pattern))
        if not fitting and not _WILD & set(pattern):
            raise TaskOutputError(
                f"the command did not leave a file {pattern!r}",
                hint="a pattern such as out/* may fit nothing",
                fault=Fault.USER,
            )
        found |= fitting
    if len(found) > _MOST_FILES:
        raise TaskOutputError(
            f"the command left {len(found)} files that are to be kept, at most {_MOST_FILES} are",
            hint="pack them into one",
            fault=Fault.USER,
        )
    found[STDOUT] = stdout
    return found


def _fitting(folder: Path, pattern: str) -> Iterator[tuple[str, Path]]:
    root = folder.resolve()
    for path in sorted(folder.glob(pattern)):
        direct = path.resolve() == root / path.relative_to(folder)
        if direct and path.is_file():
            yield _name(path.relative_to(folder)), path


def _name(path: Path) -> str:
    name = path.as_posix()
    try:
        name.encode()
    except UnicodeEncodeError as error:
        raise TaskOutputError("the name of an output is not UTF-8", fault=Fault.USER) from error
    return name
