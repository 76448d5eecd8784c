"""What makes two runs the same work: programs by their content, statements by their shape. Pure."""

from __future__ import annotations

import hashlib
import re

from jobs.lifecycle.spec import (
    BatchSpec,
    FileRef,
    JobSpec,
    PipelineSpec,
    StatementSpec,
    TaskSpec,
)

_LONGEST = 64 * 1024  # characters of a text that are told apart
_COMMENT = re.compile(r"--[^\n]*|/\*.*?\*/", re.DOTALL)
_LITERAL = re.compile(r"'(?:[^'\\]|\\.|'')*'|\b\d+(?:\.\d+)?(?:[eE][+-]?\d+)?\b")
_LIST = re.compile(r"\(\s*\?(?:\s*,\s*\?)+\s*\)")
_SPACE = re.compile(r"\s+")


def fingerprint_of(spec: JobSpec) -> str | None:
    """64 hexadecimal digits; None for plans, whose nodes have their own.

    Arguments and values do not count: the next day's run of a program is the same work. Of a task
    they do, since what a shell or an interpreter runs is said by them alone.
    """
    match spec:
        case StatementSpec():
            engine = "" if spec.engine is None else spec.engine.value
            return _hash("statement", spec.database, engine, normalised(spec.sql))
        case BatchSpec():
            return _hash(
                "batch", _content(spec.program), spec.main_class or "", spec.language.value
            )
        case TaskSpec():
            return _hash("task", spec.image or "", *spec.command)
        case PipelineSpec():
            return None


def normalised(sql: str) -> str:
    """The text without comments and literals, in lower case, with single spaces.

    Cheap rather than exact: it takes some quoted names for text, which only joins fingerprints.
    """
    text = _COMMENT.sub(" ", sql[:_LONGEST])
    text = _LIST.sub("(?)", _LITERAL.sub("?", text))
    return _SPACE.sub(" ", text).strip().rstrip(";").lower()


def _content(file: FileRef) -> str:
    return file.sha256 or file.uri or file.name


def _hash(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()
