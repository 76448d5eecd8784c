"""From what somebody asks for to a ``BatchSpec``: defaults filled in, everything checked.

Pure but for ``Files``, which says whether the files are there.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta

from jobs.batches.confs import checked_confs
from jobs.batches.sizes import DEFAULT_SIZE, MOST_EXECUTORS, checked_size, class_size
from jobs.errors import RequestInvalidError
from jobs.files import Files
from jobs.given import GivenFile, file_ref
from jobs.lifecycle.spec import (
    BatchLanguage,
    BatchSession,
    BatchSpec,
    FileRef,
    RetryPolicy,
    Size,
)
from jobs.outputs import check_patterns
from jobs.views import Terms

_SUFFIXES = {
    ".py": BatchLanguage.PYTHON,
    ".jar": BatchLanguage.JAR,
    ".sql": BatchLanguage.SQL,
}
_CLASS = re.compile(r"[A-Za-z_$][\w$]*(\.[A-Za-z_$][\w$]*)*")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,127}")
_TABLE = re.compile(r"([^.\s`]+\.)?[^.\s`]+")
#: Environment that decides how the processes of a run are found, started and loaded.
_RESERVED = ("SPARK_", "PYSPARK_", "PYTHON", "JAVA_", "JDK_", "LD_", "DYLD_", "DLI_", "MALLOC_")
_RESERVED_NAMES = frozenset(
    {"PATH", "HOME", "TMPDIR", "TZ", "LC_ALL", "CLASSPATH", "_JAVA_OPTIONS"}
)
_MOST_FILES = 200
_MOST_ARGUMENTS = 1000
_MOST_TABLES = 100
_LONGEST_NAME = 128
_LONGEST_TEXT = 32_768  # of one argument or variable
ANY_CONF = ("spark.*",)  #: for checks before the queue is known, which says what is allowed
_CONNECT_CONF = "spark.sql."  # the rest belongs to the engine, which others use as well


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchRequest:
    """A Spark program to run or to estimate. None means: a default.

    ``size`` is a class; ``driver`` and ``executor`` are exact and go without it.
    """

    terms: Terms
    program: GivenFile
    name: str | None = None
    language: BatchLanguage | None = None
    main_class: str | None = None
    arguments: Sequence[str] = ()
    py_files: Sequence[GivenFile] = ()
    jars: Sequence[GivenFile] = ()
    files: Sequence[GivenFile] = ()
    conf: Mapping[str, str] = field(default_factory=dict)
    environment: Mapping[str, str] = field(default_factory=dict)
    database: str | None = None
    tables: Sequence[str] = ()
    size: str | None = None
    driver: Size | None = None
    executor: Size | None = None
    executors: int | None = None
    session: BatchSession = BatchSession.OWN
    outputs: Sequence[str] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchDefaults:
    """What the queue and the service say where the request does not."""

    conf_allowed: tuple[str, ...]
    database: str
    max_cost: int | None
    timeout: timedelta
    retry: RetryPolicy


def check_form(request: BatchRequest, conf_allowed: Sequence[str]) -> None:
    """Raise ``RequestInvalidError`` for what is wrong whatever the files are."""
    language_of(request)
    _check_program(request)
    _check_texts(request)
    _check_environment(request.environment)
    _check_tables(request.tables)
    check_patterns(request.outputs)
    sizes_of(request)
    confs = checked_confs(request.conf, conf_allowed)
    if request.session is BatchSession.CONNECT:
        _check_connect(request, confs)


def batch_spec(request: BatchRequest, defaults: BatchDefaults, files: Files) -> BatchSpec:
    """The job's spec. Raises as ``check_form``, and as ``Files`` for files that are not there."""
    check_form(request, defaults.conf_allowed)
    project = request.terms.project_id

    def found(given: Sequence[GivenFile], field: str = "files") -> tuple[FileRef, ...]:
        return tuple(file_ref(files, project, each, field) for each in given)

    [program] = found([request.program], "program")
    driver, executor, executors = sizes_of(request)
    database = (request.database or defaults.database).lower()
    spec = BatchSpec(
        name=request.name or program.name.rsplit(".", 1)[0] or program.name,
        program=program,
        language=language_of(request),
        main_class=request.main_class,
        arguments=tuple(request.arguments),
        py_files=found(request.py_files, "py_files"),
        jars=found(request.jars, "jars"),
        files=found(request.files),
        conf=checked_confs(request.conf, defaults.conf_allowed),
        environment=dict(sorted(request.environment.items())),
        database=database,
        tables=tuple(_qualified(table, database) for table in request.tables),
        driver=driver,
        executor=executor,
        executors=executors,
        session=request.session,
        outputs=tuple(request.outputs),
        labels=dict(request.terms.labels),
        max_cost=defaults.max_cost,
        timeout=defaults.timeout,
        retry=defaults.retry,
        lease=request.terms.lease,
    )
    _check_names(spec)
    return spec


def language_of(request: BatchRequest) -> BatchLanguage:
    """As the request says, or by the suffix of the program's name."""
    if request.language is not None:
        return request.language
    name = _name_of(request.program)
    for suffix, language in _SUFFIXES.items():
        if name.lower().endswith(suffix):
            return language
    raise _invalid(
        "language",
        f"the name {name!r} does not say what kind of program it is",
        hint="end it with .py, .jar or .sql, or say language: python, jar or sql",
    )


def sizes_of(request: BatchRequest) -> tuple[Size, Size | None, int]:
    """Driver, executor and how many of these."""
    if request.size is not None and request.driver is not None:
        raise _invalid("size", "size and driver say the same thing: give one of them")
    executors = request.executors or 0
    if (request.executor is None) != (executors == 0):
        raise _invalid("executors", "executor and executors go together")
    if not 0 <= executors <= MOST_EXECUTORS:
        raise _invalid("executors", f"there are at most {MOST_EXECUTORS} executors")
    driver = request.driver or class_size(request.size or DEFAULT_SIZE)
    if request.session is BatchSession.OWN:
        checked_size(driver, "driver")
    executor = request.executor
    return driver, None if executor is None else checked_size(executor, "executor"), executors


def _check_program(request: BatchRequest) -> None:
    language = language_of(request)
    if request.main_class is not None:
        if language is not BatchLanguage.JAR:
            raise _invalid("main_class", f"a {language.value} program has no main class")
        if not _CLASS.fullmatch(request.main_class):
            raise _invalid("main_class", f"{request.main_class!r} cannot name a class")
    if request.py_files and language is BatchLanguage.JAR:
        raise _invalid("py_files", "a jar has no use for Python files")
    for given in request.py_files:
        if not _name_of(given).lower().endswith((".py", ".zip", ".egg", ".whl")):
            raise _invalid("py_files", f"{_name_of(given)} is neither .py, .zip, .egg nor .whl")
    for given in request.jars:
        if not _name_of(given).lower().endswith(".jar"):
            raise _invalid("jars", f"{_name_of(given)} is no .jar")


def _check_texts(request: BatchRequest) -> None:
    if request.name is not None and not 0 < len(request.name) <= _LONGEST_NAME:
        raise _invalid("name", f"a name has 1 to {_LONGEST_NAME} characters")
    if request.name is not None and not request.name.isprintable():
        raise _invalid("name", "a name is text without control characters")
    if len(request.arguments) > _MOST_ARGUMENTS:
        raise _invalid("arguments", f"there are more than {_MOST_ARGUMENTS} arguments")
    if any(len(text) > _LONGEST_TEXT or "\x00" in text for text in request.arguments):
        raise _invalid("arguments", f"an argument has at most {_LONGEST_TEXT} characters")
    if len(request.py_files) + len(request.jars) + len(request.files) > _MOST_FILES:
        raise _invalid("files", f"there are more than {_MOST_FILES} files")


def _check_environment(environment: Mapping[str, str]) -> None:
    for name, value in environment.items():
        if not _VARIABLE.fullmatch(name):
            raise _invalid("environment", f"{name!r} cannot name a variable")
        if name in _RESERVED_NAMES or name.startswith(_RESERVED):
            raise _invalid("environment", f"the service sets {name} itself")
        if len(value) > _LONGEST_TEXT or "\x00" in value:
            raise _invalid("environment", f"the value of {name} is too long or no text")


def _check_tables(tables: Sequence[str]) -> None:
    if len(tables) > _MOST_TABLES:
        raise _invalid("tables", f"there are more than {_MOST_TABLES} tables")
    for table in tables:
        if not _TABLE.fullmatch(table):
            raise _invalid("tables", f"{table!r} is not of the form database.table")
    _check_once("tables", [table.lower().rpartition(".")[2] for table in tables])


def _check_connect(request: BatchRequest, confs: Mapping[str, str]) -> None:
    if language_of(request) is BatchLanguage.JAR:
        raise _invalid("session", "a jar cannot run as a client of a warm engine")
    taken = {
        "jars": request.jars,
        "executor": request.executor,
        "executors": request.executors,
    }
    for name, value in taken.items():
        if value:
            raise _invalid(name, f"session: connect takes no {name}: the engine runs already")
    for key in confs:
        if not key.startswith(_CONNECT_CONF):
            raise _invalid("conf", f"session: connect can only set {_CONNECT_CONF}*, not {key}")


def _check_names(spec: BatchSpec) -> None:
    """All files of a job lie in one folder."""
    names = [ref.name for ref in (spec.program, *spec.py_files, *spec.jars, *spec.files)]
    _check_once("files", names)
    for name in names:
        if "," in name or "#" in name:  # Spark's own separators
            raise _invalid("files", f"the name {name!r} has a comma or a hash sign")


def _qualified(table: str, database: str) -> str:
    return table.lower() if "." in table else f"{database}.{table.lower()}"


def _check_once(field: str, names: Sequence[str]) -> None:
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        raise _invalid(field, f"the name {twice[0]} is given twice")


def _name_of(given: GivenFile) -> str:
    return given.name or (given.uri or "").rstrip("/").rsplit("/", 1)[-1]


def _invalid(field: str, message: str, *, hint: str | None = None) -> RequestInvalidError:
    return RequestInvalidError(message, hint=hint, field=field)
