"""Keyset paging: a cursor holds the sort key of the last row of a page, so pages never shift."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from storage.base.errors import InvalidInputError

Item = TypeVar("Item")
CursorValue = str | int | None


class InvalidCursorError(InvalidInputError):
    """A cursor that this service did not make."""

    code = "invalid_cursor"


@dataclass(frozen=True, slots=True, kw_only=True)
class Page(Generic[Item]):
    """Some items of a list, and the cursor of the next ones; None after the last."""

    items: tuple[Item, ...]
    next_cursor: str | None = None


def encode_cursor(values: Sequence[CursorValue]) -> str:
    """The sort key of a page's last row as URL-safe text."""
    text = json.dumps(list(values), separators=(",", ":"))
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def decode_cursor(text: str) -> tuple[CursorValue, ...]:
    """The values of ``encode_cursor``; raises ``InvalidCursorError`` for any other text."""
    try:
        raw = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
        values = json.loads(raw)
    except (binascii.Error, ValueError, RecursionError) as error:
        raise _refusal() from error
    if not isinstance(values, list):
        raise _refusal()
    for value in values:
        if isinstance(value, bool) or not isinstance(value, str | int | None):
            raise _refusal()
    return tuple(values)


def _refusal() -> InvalidCursorError:
    return InvalidCursorError(
        "the cursor cannot be read", hint="use the next cursor of an earlier page, unchanged"
    )
