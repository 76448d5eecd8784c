"""Money and prices: integers with one rounding, so that sums are exact on every machine.

No float and no ``Decimal`` is stored or added up here; ``Decimal`` appears only where a person's
text is read and where an amount is shown.
"""

from __future__ import annotations

from dataclasses import dataclass

NANOS = 10**9


@dataclass(frozen=True, slots=True)
class Money:
    """An amount in billionths (1e-9) of a currency."""

    currency: str  #: ISO 4217, upper case
    nanos: int

    def __add__(self, other: Money) -> Money:
        """The sum; amounts of two currencies cannot be added."""
        if self.currency != other.currency:
            raise ValueError(f"{self.currency} and {other.currency} cannot be added")
        return Money(self.currency, self.nanos + other.nanos)

    @property
    def amount(self) -> str:
        """The amount with all nine decimals: ``0.000265000``."""
        return format_nanos(self.nanos)


@dataclass(frozen=True, slots=True)
class Price:
    """``amount`` for every ``per`` base units of what a meter counts."""

    amount: Money
    per: int  #: base units: bytes, or milliseconds of one compute unit

    def of(self, quantity: int) -> Money:
        """The price of ``quantity`` base units, rounded half even to one nano, once."""
        if quantity < 0:
            raise ValueError(f"quantity {quantity} is below zero")
        whole, rest = divmod(quantity * self.amount.nanos, self.per)
        nanos = whole + (2 * rest > self.per or (2 * rest == self.per and whole % 2 == 1))
        return Money(self.amount.currency, nanos)


def format_nanos(nanos: int) -> str:
    """``nanos`` as a decimal with nine places and no exponent."""
    sign, size = ("-", -nanos) if nanos < 0 else ("", nanos)
    return f"{sign}{size // NANOS}.{size % NANOS:09d}"
