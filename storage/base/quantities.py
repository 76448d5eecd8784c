"""Sizes and spans as people write them: ``10GB``, ``5m``."""

from __future__ import annotations

import re
from datetime import timedelta
from decimal import Decimal

from storage.base.errors import InvalidInputError

_SIZES = {
    "": 1, "b": 1,
    "kb": 10**3, "mb": 10**6, "gb": 10**9, "tb": 10**12, "pb": 10**15,
    "kib": 2**10, "mib": 2**20, "gib": 2**30, "tib": 2**40, "pib": 2**50,
}  # fmt: skip
_SPANS = {"ms": 1, "s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
#: A span is added to moments, and those end with the year 9999.
LONGEST_SPAN = timedelta(days=1_000_000)
_NUMBER = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([a-zA-Z]*)\s*")


class QuantityError(InvalidInputError):
    """A size or a span that cannot be read."""

    code = "invalid_quantity"


def parse_size(text: str) -> int:
    """Bytes of ``10GB`` (10^9), ``64MiB`` (2^20) or ``512``; raises ``QuantityError``."""
    match = _NUMBER.fullmatch(text)
    unit = _SIZES.get(match[2].lower()) if match else None
    if match is None or unit is None:
        raise QuantityError(f"{text!r} is not a size", hint="write it like 500MB, 10GiB or 4096")
    return int(Decimal(match[1]) * unit)


def parse_span(text: str) -> timedelta:
    """The span of ``250ms``, ``10s``, ``5m``, ``2h`` or ``1d``, at most ``LONGEST_SPAN``.

    Raises ``QuantityError``.
    """
    match = _NUMBER.fullmatch(text)
    unit = _SPANS.get(match[2].lower()) if match else None
    if match is None or unit is None:
        raise QuantityError(f"{text!r} is not a span", hint="write it like 500ms, 30s, 5m or 2h")
    millis = int(Decimal(match[1]) * unit)
    if millis > LONGEST_SPAN // timedelta(milliseconds=1):
        raise QuantityError(
            f"{text[:40]!r} is more than {LONGEST_SPAN.days}d", hint="choose a shorter one"
        )
    return timedelta(milliseconds=millis)


def format_size(size: int) -> str:
    """A size for people, in powers of ten: ``58.4 MB``."""
    amount = Decimal(size)
    for unit in ("B", "kB", "MB", "GB", "TB"):
        if amount < 1000:
            return f"{amount:.0f} {unit}" if unit == "B" else f"{amount:.1f} {unit}"
        amount /= 1000
    return f"{amount:.1f} PB"


def format_span(span: timedelta) -> str:
    """A span as ``parse_span`` reads it, in the largest unit that needs no fraction: ``90s``."""
    millis = span // timedelta(milliseconds=1)
    for unit, size in reversed(_SPANS.items()):
        if millis % size == 0 and millis:
            return f"{millis // size}{unit}"
    return "0s"
