"""Column types that hold and give back the same values on SQLite and on PostgreSQL.

Money, quantities and spans need none: they are ``BigInteger``. SQLAlchemy's own ``DateTime`` comes
back naive from SQLite and its ``Numeric`` loses digits there, so neither is used.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import BigInteger, Dialect, Text, TypeDecorator

from storage.base.errors import InvalidInputError

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)


class NotStorableError(InvalidInputError):
    """A value is none that a row can hold: too long, too large, a NUL in a text, no JSON."""

    code = "not_storable"


class UtcDateTime(TypeDecorator[datetime]):
    """A moment: milliseconds since 1970 in the row, an aware ``datetime`` in UTC outside.

    What is finer than a millisecond is cut off. A naive ``datetime`` raises ``ValueError``.
    """

    impl = BigInteger
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> int | None:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"a moment needs its zone: {value!r}")
        return (value - _EPOCH) // _MILLISECOND

    def process_result_value(self, value: int | None, dialect: Dialect) -> datetime | None:
        return None if value is None else _EPOCH + timedelta(milliseconds=value)


class Json(TypeDecorator[Any]):
    """Any JSON value, kept as compact text; NaN and infinities raise ``NotStorableError``."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: Any, dialect: Dialect) -> str | None:
        if value is None:
            return None
        try:
            return json.dumps(value, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
        except ValueError as error:
            raise NotStorableError(f"a value is not JSON: {error}") from error

    def process_result_value(self, value: str | None, dialect: Dialect) -> Any:
        return None if value is None else json.loads(value)
