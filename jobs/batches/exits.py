"""How a program ended, from its exit code, the launcher's word and the end of what it wrote.

Pure. Spark's own codes: 52 is an ``OutOfMemoryError`` that an executor met, 3 is what our JVMs end
with on one (``-XX:+ExitOnOutOfMemoryError``, which says so), 101 a main class that cannot be found.
Everything else is the code of the program, which Spark passes on.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum

from jobs.lifecycle.events import Fault

_MEMORY_CODES = frozenset({52, 137, -9})
_LONGEST = 400
_ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|[\x00-\x08\x0b-\x1f\x7f]")
_TRACEBACK = "Traceback (most recent call last):"
_PYTHON_ERROR = re.compile(r"^(?:[A-Za-z_]\w*\.)*(?P<name>[A-Z]\w*)(?P<rest>:\s.*|)$")
_JAVA_ERROR = re.compile(r"^Exception in thread \"[^\"]*\" (?:[\w$]+\.)*(?P<text>[\w$]+.*)$")
_SUBMIT_ERROR = re.compile(r"^Error: (?P<text>\S.*)$")
_SQL_ERROR = re.compile(r"^dli-sql: (?P<text>.+)$")
_OUT_OF_MEMORY = re.compile(
    r"java\.lang\.OutOfMemoryError|^MemoryError\b|SparkOutOfMemoryError", re.MULTILINE
)
#: Spark's word on an executor that was a process of its own: killed for its memory, or out of heap,
#: as Spark ends it or, where it runs with our flags, the JVM itself.
_EXECUTOR_MEMORY = re.compile(
    r"ExecutorLostFailure [\s\S]{0,400}?exited with exit code (?:137|52|3)\b"
)
_JVM_REFUSED = re.compile(
    r"Error occurred during initialization of VM|Could not create the Java Virtual Machine"
    r"|Could not reserve enough space|There is insufficient memory for the Java Runtime"
)
_DISK_FULL = re.compile(r"No space left on device|Disk quota exceeded")


class ExitKind(StrEnum):
    """What an end of a program means; the codes of failures are these."""

    DONE = "done"
    PROGRAM_FAILED = "program_failed"
    OUT_OF_MEMORY = "out_of_memory"
    KILLED = "killed"
    PLATFORM_FAULT = "platform_fault"


@dataclass(frozen=True, slots=True, kw_only=True)
class ProgramExit:
    """``code`` None: nobody knows it. ``reason`` is the launcher's, None if it did not end it.

    ``out`` and ``err`` are the ends of the two logs, as text. A Python program's own standard error
    is in ``out``: Spark merges it there.
    """

    code: int | None
    reason: str | None
    out: str = ""
    err: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What is told of an end, and whose fault it is (None for a good one)."""

    kind: ExitKind
    fault: Fault | None
    message: str = ""
    hint: str | None = None


def judge(ended: ProgramExit) -> Verdict:
    """What an end that nobody asked for means. Cancels and deadlines are told before this."""
    if ended.code == 0 and ended.reason is None:
        return Verdict(kind=ExitKind.DONE, fault=None)
    if (memory := _memory(ended)) is not None:
        return memory
    if (platform := _platform(ended)) is not None:
        return platform
    assert ended.code is not None
    if ended.code < 0 or ended.code in {129, 130, 143}:
        number = -ended.code if ended.code < 0 else ended.code - 128
        return Verdict(
            kind=ExitKind.KILLED,
            fault=Fault.PLATFORM,
            message=f"the program was killed by signal {number}, which the service did not send",
        )
    return _failed(ended)


def last_error(text: str) -> str | None:
    """The line that says what went wrong, cleaned; of several the last one.

    Looks for the end of a Python traceback, an uncaught Java exception, or Spark's own refusal.
    """
    found: str | None = None
    lines = [_ESCAPES.sub("", line).rstrip() for line in text.splitlines()]
    in_traceback = False
    for line in lines:
        if line.endswith(_TRACEBACK):
            in_traceback = True
        elif in_traceback and (match := _PYTHON_ERROR.match(line)):
            found = match["name"] + match["rest"]
            in_traceback = False
        elif (
            match := _JAVA_ERROR.match(line) or _SUBMIT_ERROR.match(line) or _SQL_ERROR.match(line)
        ):
            found = match["text"]
    return None if found is None else _cut(found)


def _memory(ended: ProgramExit) -> Verdict | None:
    if ended.reason == "memory":
        what = "the program used more memory than its size allows"
    elif _OUT_OF_MEMORY.search(ended.err) or _OUT_OF_MEMORY.search(ended.out):
        what = "the program ran out of memory"
    elif _EXECUTOR_MEMORY.search(ended.err) or _EXECUTOR_MEMORY.search(ended.out):
        what = "an executor ran out of memory"
    elif ended.reason is None and ended.code in _MEMORY_CODES:
        what = "the program was killed by the system, most likely for its memory"
    else:
        return None
    return Verdict(
        kind=ExitKind.OUT_OF_MEMORY,
        fault=Fault.MEMORY,
        message=what,
        hint="give it a larger size, or collect and cache less",
    )


def _platform(ended: ProgramExit) -> Verdict | None:
    if ended.code is None:
        what = "the program's process is gone, and nobody knows how it ended"
    elif ended.reason is not None:
        what = f"the service ended the program: {ended.reason}"
    elif ended.code == 127:
        what = "the program could not be started"
    elif _JVM_REFUSED.search(ended.err) or _JVM_REFUSED.search(ended.out):
        what = "Java could not be started"
    elif _DISK_FULL.search(ended.err) or _DISK_FULL.search(ended.out):
        what = "no space was left on the disk"
    elif ended.code in {-6, -11, -7, -4, 134, 139}:
        what = f"Java itself crashed (exit code {ended.code})"
    else:
        return None
    return Verdict(kind=ExitKind.PLATFORM_FAULT, fault=Fault.PLATFORM, message=what)


def _failed(ended: ProgramExit) -> Verdict:
    error = last_error(ended.out) or last_error(ended.err)
    told = f": {error}" if error else ""
    return Verdict(
        kind=ExitKind.PROGRAM_FAILED,
        fault=Fault.USER,
        message=f"the program ended with exit code {ended.code}{told}",
        hint="its log has the rest",
    )


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"
