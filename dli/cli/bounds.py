"""Bounds as options give them: a value, or the one word that takes a bound away."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from dli.cli.session import UsageError

NONE = "none"


class Bound(NamedTuple):
    """What an option was given for a field of the API, and how that is read."""

    field: str
    option: str
    given: str | None
    read: Callable[[str, str], object]  #: of the option and its text; raises ``UsageError``
    always: bool = False  #: there is such a bound, whatever is said


def changes_of(*bounds: Bound) -> dict[str, object]:
    """By the names of the API those that were given; None for ``none``.

    Raises ``UsageError``, which tells of the word.
    """
    changes: dict[str, object] = {}
    for bound in bounds:
        if bound.given == NONE:
            if bound.always:
                raise UsageError(f"{bound.option}: there is always such a bound; write a high one")
            changes[bound.field] = None
        elif bound.given is not None:
            changes[bound.field] = _read(bound, bound.given)
    return changes


def _read(bound: Bound, given: str) -> object:
    try:
        return bound.read(bound.option, given)
    except UsageError as error:
        if bound.always:
            raise
        raise UsageError(f"{error}, or {NONE} to take it away") from error


def lifted(given: list[str] | None) -> bool:
    """Whether an option that can be repeated was given ``none``, and nothing else."""
    return given == [NONE]


def count(least: int) -> Callable[[str, str], int]:
    """Reads whole numbers from ``least`` on."""

    def read(option: str, text: str) -> int:
        if not (text.isascii() and text.isdigit() and int(text) >= least):
            raise UsageError(
                f"{option}: {text!r} is not a whole number from {least}; write it like {least + 3}"
            )
        return int(text)

    return read
