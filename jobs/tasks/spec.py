"""What a task may ask for, and the spec that it becomes."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import PurePosixPath

from jobs.errors import RequestInvalidError
from jobs.files import Files
from jobs.given import GivenFile, file_ref
from jobs.lifecycle.spec import FileRef, RetryPolicy, Size, TaskSpec
from jobs.outputs import check_patterns
from jobs.views import Terms
from storage.base.ids import ProjectId

MIB = 1 << 20
DEFAULT_SIZE = Size(cores=1, memory_bytes=1024 * MIB)

_LEAST_MEMORY = 16 * MIB
_MOST_MEMORY = 1 << 40
_MOST_CORES = 256
_MOST_ARGUMENTS = 1000
_MOST_FILES = 200
_MOST_VARIABLES = 100
_LONGEST = 32_768  # of one argument or variable
_LONGEST_NAME = 128
_IMAGE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/:@-]{0,299}")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
#: Variables by which another program could be run in the place of the one that is allowed.
_FORBIDDEN = re.compile(r"(LD|DYLD|DLI|BASH_FUNC)_.*|PATH|IFS|ENV|BASH_ENV|SHELLOPTS|BASHOPTS")


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskRequest:
    """A command to run. None means: the service's default."""

    terms: Terms
    command: Sequence[str]
    name: str | None = None
    image: str | None = None
    stdin: GivenFile | None = None
    files: Sequence[GivenFile] = ()
    outputs: Sequence[str] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    cores: int | None = None
    memory_bytes: int | None = None
    max_output_bytes: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskDefaults:
    """What the service and the queue say."""

    max_output_bytes: int  #: the most, and what a task gets that names nothing
    max_cost: int | None
    timeout: timedelta
    retry: RetryPolicy


def check_form(request: TaskRequest) -> None:
    """Raise ``RequestInvalidError`` for what is wrong in the request itself; no I/O."""
    _check_command(request.command)
    if request.image is not None and not _IMAGE.fullmatch(request.image):
        raise _wrong("image", f"{request.image!r} is no name of an image")
    _check_size(request)
    _check_environment(request)
    check_patterns(request.outputs)
    if len(request.files) > _MOST_FILES:
        raise _wrong("files", f"more than {_MOST_FILES} files")
    if request.name is not None and not 0 < len(request.name) <= _LONGEST_NAME:
        raise _wrong("name", f"has 1 to {_LONGEST_NAME} characters")


def task_spec(
    request: TaskRequest, *, program: str, defaults: TaskDefaults, files: Files
) -> TaskSpec:
    """The task as it is kept; ``program`` is what the first word of its command stands for.

    Raises as ``check_form`` and ``Files`` do.
    """
    check_form(request)
    terms = request.terms
    given = tuple(file_ref(files, terms.project_id, each, "files") for each in request.files)
    names = [ref.name for ref in given]
    if len(set(names)) < len(names):
        raise _wrong("files", "two have the same name")
    most = defaults.max_output_bytes
    wanted = most if request.max_output_bytes is None else request.max_output_bytes
    if wanted > most:
        raise _wrong("max_output", f"at most {most} bytes")
    return TaskSpec(
        name=request.name or PurePosixPath(program).name,
        command=(program, *request.command[1:]),
        image=request.image,
        stdin=_stdin(files, terms.project_id, request.stdin),
        files=given,
        outputs=tuple(request.outputs),
        environment=dict(request.environment),
        size=Size(
            cores=request.cores or DEFAULT_SIZE.cores,
            memory_bytes=request.memory_bytes or DEFAULT_SIZE.memory_bytes,
        ),
        max_output_bytes=wanted,
        labels=terms.labels,
        max_cost=defaults.max_cost,
        timeout=defaults.timeout,
        retry=defaults.retry,
        lease=terms.lease,
    )


def _check_command(command: Sequence[str]) -> None:
    if not command or not command[0]:
        raise _wrong("command", "is empty")
    if len(command) > _MOST_ARGUMENTS or any(len(word) > _LONGEST for word in command):
        raise _wrong("command", f"has at most {_MOST_ARGUMENTS} words of {_LONGEST} characters")
    if any("\x00" in word for word in command):
        raise _wrong("command", "has a word with a NUL")


def _check_size(request: TaskRequest) -> None:
    if request.cores is not None and not 1 <= request.cores <= _MOST_CORES:
        raise _wrong("cores", f"are from 1 to {_MOST_CORES}")
    memory = request.memory_bytes
    if memory is not None and not _LEAST_MEMORY <= memory <= _MOST_MEMORY:
        raise _wrong("memory", f"is from {_LEAST_MEMORY // MIB} MiB to 1 TiB")


def _check_environment(request: TaskRequest) -> None:
    environment = request.environment
    if len(environment) > _MOST_VARIABLES:
        raise _wrong("environment", f"more than {_MOST_VARIABLES} variables")
    for name, value in environment.items():
        if not _VARIABLE.fullmatch(name):
            raise _wrong("environment", f"{name!r} cannot name a variable")
        if request.image is None and _FORBIDDEN.fullmatch(name):
            raise _wrong("environment", f"{name} decides what is run, and is not yours to set")
        if len(value) > _LONGEST or "\x00" in value:
            raise _wrong("environment", f"the value of {name} is too long or no text")


def _stdin(files: Files, project_id: ProjectId, given: GivenFile | None) -> FileRef | None:
    if given is None:
        return None
    named = given if given.name else GivenFile(name="stdin", sha256=given.sha256, uri=given.uri)
    return file_ref(files, project_id, named, "stdin")


def _wrong(name: str, message: str) -> RequestInvalidError:
    return RequestInvalidError(f"{name}: {message}", field=name)
