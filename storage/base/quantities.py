"""Sizes, spans and amounts of money as people write them: ``10GB``, ``5m``, ``0.05``.

Each has a pattern that says the same as its parser but for the range, in the grammar that Python,
JSON Schema (ECMA 262) and RE2 read alike: schemas publish it, so that editors know what is read.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
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
LARGEST = 2**63 - 1  #: billionths of a currency; amounts are kept in a BIGINT
_NANOS = 10**9


def _pattern(units: Iterable[str]) -> str:
    """A number and one of ``units``, in either case and with blanks around both."""
    cased = ("".join(f"[{each}{each.upper()}]" for each in unit) for unit in units)
    return rf"^ *([0-9]+(?:\.[0-9]+)?) *({'|'.join(cased)}) *$"


SIZE_PATTERN = _pattern(_SIZES)
SPAN_PATTERN = _pattern(_SPANS)
#: What has more than nine decimals is no number of billionths, unless they are zeros.
AMOUNT_PATTERN = r"^([0-9]+)(?:\.([0-9]{1,9})0*)?$"
_SIZE, _SPAN, _AMOUNT = (
    re.compile(pattern) for pattern in (SIZE_PATTERN, SPAN_PATTERN, AMOUNT_PATTERN)
)


class QuantityError(InvalidInputError):
    """A size or a span that cannot be read."""

    code = "invalid_quantity"


class InvalidAmountError(InvalidInputError):
    """An amount of money that cannot be read."""

    code = "invalid_amount"


def parse_size(text: str) -> int:
    """Bytes of ``10GB`` (10^9), ``64MiB`` (2^20) or ``512``; raises ``QuantityError``."""
    match = _SIZE.fullmatch(text)
    if match is None:
        raise QuantityError(f"{text!r} is not a size", hint="write it like 500MB, 10GiB or 4096")
    return int(Decimal(match[1]) * _SIZES[match[2].lower()])


def parse_span(text: str) -> timedelta:
    """The span of ``250ms``, ``10s``, ``5m``, ``2h`` or ``1d``, at most ``LONGEST_SPAN``.

    Raises ``QuantityError``.
    """
    match = _SPAN.fullmatch(text)
    if match is None:
        raise QuantityError(f"{text!r} is not a span", hint="write it like 500ms, 30s, 5m or 2h")
    millis = int(Decimal(match[1]) * _SPANS[match[2].lower()])
    if millis > LONGEST_SPAN // timedelta(milliseconds=1):
        raise QuantityError(
            f"{text[:40]!r} is more than {LONGEST_SPAN.days}d", hint="choose a shorter one"
        )
    return timedelta(milliseconds=millis)


def parse_amount(text: str) -> int:
    """Billionths of a currency of ``0.05``, at most ``LARGEST``; raises ``InvalidAmountError``.

    More than nine decimals are refused rather than rounded: a cap must be what was written.
    """
    match = _AMOUNT.fullmatch(text)
    if match is None or len(match[1].lstrip("0")) > len(str(LARGEST)):
        raise _no_amount(text)
    amount = int(match[1].lstrip("0") or 0) * _NANOS + int((match[2] or "").ljust(9, "0"))
    if amount > LARGEST:
        raise _no_amount(text)
    return amount


def _no_amount(text: str) -> InvalidAmountError:
    most = LARGEST // _NANOS
    return InvalidAmountError(
        f"{text[:40]!r} is not an amount of money from 0 to {most} with at most nine decimals",
        hint="write it like 0.05",
    )


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
