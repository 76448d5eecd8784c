"""Files that a job left, kept by content as uploaded ones are, so that other jobs can use them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, TypeVar

from jobs.errors import RequestInvalidError
from jobs.execution.runner import AttemptFailedError
from jobs.files import Files, file_uri
from jobs.lifecycle.events import Fault
from jobs.views import JobView
from storage.base.errors import NotFoundError
from storage.base.ids import ProjectId
from storage.objects.api import StoreFullError, StoreUnavailableError

T = TypeVar("T")
Patiently = Callable[[Callable[[], T]], T]

STDOUT = "stdout"  #: the name of standard output among what a task leaves

_MOST_FILES = 1000
_MOST_PATTERNS = 50
_LONGEST_PATTERN = 128
_WILD = frozenset("*?[")


class OutputMissingError(NotFoundError):
    """The job has no such output, or none yet."""

    code = "output_not_found"


@dataclass(frozen=True, slots=True, kw_only=True)
class Output:
    """One file that a job left; ``name`` is its path in the job's folder, or ``stdout``."""

    name: str
    size: int
    sha256: str

    def facts(self) -> dict[str, Any]:
        """As JSON. ``uri`` is what other jobs of the project can name it by."""
        last = self.name.rsplit("/", 1)[-1]
        uri = file_uri(self.sha256, last)
        return {"name": self.name, "size": self.size, "sha256": self.sha256, "uri": uri}


def check_patterns(patterns: Sequence[str]) -> None:
    """Raise ``RequestInvalidError`` for what is no pattern of files in a job's folder."""
    if len(patterns) > _MOST_PATTERNS:
        raise _wrong(f"more than {_MOST_PATTERNS} patterns")
    for pattern in patterns:
        path = PurePosixPath(pattern)
        outside = path.is_absolute() or ".." in path.parts or not path.parts
        outside = outside or any("**" in part and part != "**" for part in path.parts)
        if outside or len(pattern) > _LONGEST_PATTERN or "\x00" in pattern:
            raise _wrong(f"{pattern!r} is no pattern of files in the job's folder")
        if pattern == STDOUT:
            raise _wrong(f"{STDOUT!r} is the name of standard output, which is kept anyway")


def output_of(view: JobView, name: str) -> Output:
    """What the last attempt of a task or a batch left under this name.

    Raises ``OutputMissingError``, also while it runs.
    """
    if not view.job.state.terminal:
        raise OutputMissingError(
            f"{view.job.id} has not ended", hint="wait for its end", job_id=view.job.id
        )
    tried = view.attempts[-1].facts if view.attempts else {}
    return find_output(view.facts or tried, name)


def find_output(facts: Mapping[str, Any], name: str) -> Output:
    """The output of that name in what is known of a job. Raises ``OutputMissingError``."""
    for each in facts.get("outputs") or ():
        if each["name"] == name:
            return Output(name=name, size=each["size"], sha256=each["sha256"])
    raise OutputMissingError(f"the job has no output {name!r}", output=name)


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


def find_files(
    folder: Path, patterns: Sequence[str], *, error: type[AttemptFailedError]
) -> dict[str, Path]:
    """By name: the files below ``folder`` that fit a pattern, in the order of these.

    Links are never followed: they might lead out of the folder. Raises ``error`` for a plain name
    of which there is no file, and for too many files.
    """
    found: dict[str, Path] = {}
    for pattern in patterns:
        fitting = dict(_fitting(folder, pattern, error))
        if not fitting and not _WILD & set(pattern):
            raise error(
                f"the program did not leave a file {pattern!r}",
                hint="a pattern such as out/* may fit nothing",
                fault=Fault.USER,
            )
        found |= fitting
    if len(found) > _MOST_FILES:
        raise error(
            f"the program left {len(found)} files that are to be kept, at most {_MOST_FILES} are",
            hint="pack them into one",
            fault=Fault.USER,
        )
    return found


def _fitting(
    folder: Path, pattern: str, error: type[AttemptFailedError]
) -> Iterator[tuple[str, Path]]:
    root = folder.resolve()
    for path in sorted(folder.glob(pattern)):
        direct = path.resolve() == root / path.relative_to(folder)
        if direct and path.is_file():
            yield _name(path.relative_to(folder), error), path


def _name(path: Path, error: type[AttemptFailedError]) -> str:
    name = path.as_posix()
    try:
        name.encode()
    except UnicodeEncodeError as cause:
        raise error("the name of an output is not UTF-8", fault=Fault.USER) from cause
    return name


def _wrong(message: str) -> RequestInvalidError:
    return RequestInvalidError(f"outputs: {message}", field="outputs")
