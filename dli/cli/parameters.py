"""``--param name=value``: text unless a type stands before the ``=``: ``day:date=2026-01-01``."""

from __future__ import annotations

import re
from collections.abc import Sequence

from dli.cli.session import UsageError

_SHAPE = re.compile(
    r"([A-Za-z_][A-Za-z0-9_]*)(?::([A-Za-z_]+(?:\(\d+(?:,\s*\d+)?\))?))?=(.*)", re.S
)


def parse_parameters(given: Sequence[str]) -> dict[str, object] | None:
    """Named values for the request; None where none are given. Raises ``UsageError``."""
    values: dict[str, object] = {}
    for text in given:
        match = _SHAPE.fullmatch(text)
        if match is None:
            raise UsageError(f"--param {text}: write NAME=VALUE or NAME:TYPE=VALUE")
        name, kind, value = match.groups()
        if name in values:
            raise UsageError(f"--param {name} is given twice")
        values[name] = value if kind is None else _typed(name, kind.lower(), value)
    return values or None


def parse_labels(given: Sequence[str], option: str = "--label") -> dict[str, str] | None:
    """``KEY=VALUE`` pairs; None where none are given. Raises ``UsageError``."""
    labels: dict[str, str] = {}
    for text in given:
        key, equals, value = text.partition("=")
        if not key or not equals:
            raise UsageError(f"{option} {text}: write KEY=VALUE")
        labels[key] = value
    return labels or None


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
