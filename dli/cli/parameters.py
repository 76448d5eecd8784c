"""What the texts of options mean: pairs, quantities, files. What cannot be is a ``UsageError``."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Sequence
from datetime import date, datetime
from pathlib import Path
from typing import TypeVar

from dli.cli.session import UsageError
from storage.base.errors import InvalidInputError
from storage.base.quantities import parse_amount, parse_size, parse_span

T = TypeVar("T")

_SHAPE = re.compile(
    r"([A-Za-z_][A-Za-z0-9_]*)(?::([A-Za-z_]+(?:\(\d+(?:,\s*\d+)?\))?))?=(.*)", re.S
)


def parse_parameters(given: Sequence[str] | None) -> dict[str, object] | None:
    """Named values for the request; None where none are given.

    ``day=2026-01-01`` is text, ``day:date=2026-01-01`` has a type.
    """
    values: dict[str, object] = {}
    for text in given or ():
        match = _SHAPE.fullmatch(text)
        if match is None:
            raise UsageError(f"--param {text}: write NAME=VALUE or NAME:TYPE=VALUE")
        name, kind, value = match.groups()
        if name in values:
            raise UsageError(f"--param {name} is given twice")
        values[name] = value if kind is None else _typed(name, kind.lower(), value)
    return values or None


def parse_labels(given: Sequence[str] | None, option: str = "--label") -> dict[str, str] | None:
    """``KEY=VALUE`` pairs; None where none are given."""
    labels: dict[str, str] = {}
    for text in given or ():
        key, equals, value = text.partition("=")
        if not key or not equals:
            raise UsageError(f"{option} {text}: write KEY=VALUE")
        labels[key] = value
    return labels or None


def parse_words(text: str | None) -> list[str] | None:
    """Words with commas between; None for no text."""
    return None if text is None else [word.strip() for word in text.split(",") if word.strip()]


def parse_bytes(option: str, text: str | None) -> int | None:
    """Bytes of ``10GB``; None for no text."""
    return None if text is None else _parsed(parse_size, option, text)


def checked_size(option: str, text: str | None) -> str | None:
    """The text as it is, if it is a size."""
    parse_bytes(option, text)
    return text


def checked_span(option: str, text: str | None) -> str | None:
    """The text as it is, if it is a time like ``10m``."""
    if text is not None:
        _parsed(parse_span, option, text)
    return text


def checked_amount(option: str, text: str | None) -> str | None:
    """The text as it is, if it is an amount of money."""
    if text is not None:
        _parsed(parse_amount, option, text)
    return text


def checked_moment(option: str, text: str | None) -> str | None:
    """The text as it is, if it is a moment like ``2026-12-24T18:00Z`` or a day."""
    if text is not None:
        try:
            datetime.fromisoformat(text)
        except ValueError as error:
            raise UsageError(
                f"{option}: {text!r} is not a moment; write it like 2026-12-24T18:00Z"
            ) from error
    return text


def between(since: str | None, until: str | None) -> dict[str, str | None]:
    """What ``--since`` and ``--until`` ask of a list, by the names of the API."""
    return {"from": checked_moment("--since", since), "to": checked_moment("--until", until)}


def checked_day(option: str, text: str) -> str:
    """The text as it is, if it is a day."""
    try:
        date.fromisoformat(text)
    except ValueError as error:
        raise UsageError(f"{option}: {text!r} is not a day; write it like 2026-12-24") from error
    return text


def source(text: str) -> Path | str:
    """A file of this machine, or the address of an object."""
    if "://" in text:
        return text
    path = Path(text).expanduser()
    if not path.is_file():
        raise UsageError(f"there is no file {text}")
    return path


def read_file(path: Path) -> str:
    """The text of a file, without the mark of some editors; ``-`` is standard input."""
    if str(path) == "-":
        return sys.stdin.read()
    try:
        return path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise UsageError(f"{path} is not UTF-8") from error


def _parsed(parse: Callable[[str], T], option: str, text: str) -> T:
    try:
        return parse(text)
    except InvalidInputError as error:
        raise UsageError(f"{option}: {error.message}; {error.hint}") from error


def _typed(name: str, kind: str, value: str) -> object:
    if kind == "null":
        return None
    if kind in {"boolean", "bool"}:
        if value.lower() not in {"true", "false"}:
            raise UsageError(f"--param {name}: {value!r} is neither true nor false")
        return value.lower() == "true"
    if kind in {"int", "bigint", "smallint", "tinyint"}:
        try:
            return int(value)
        except ValueError as error:
            raise UsageError(f"--param {name}: {value!r} is not a whole number") from error
    return value if kind == "string" else {"type": kind, "value": value}
