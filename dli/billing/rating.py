"""Quantities times prices. The quote and the bill of a statement are both this one function."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from dli.billing.money import Money, Price
from dli.billing.pricebook import PriceBook


@dataclass(frozen=True, slots=True, kw_only=True)
class BillLine:
    """One meter of one statement with its price. ``charged`` is ``quantity`` or the minimum."""

    meter: str
    quantity: int
    charged: int
    price: Price
    effective_from: datetime
    amount: Money


@dataclass(frozen=True, slots=True, kw_only=True)
class Rated:
    """What quantities cost: the total is the exact sum of the lines."""

    total: Money
    lines: tuple[BillLine, ...]


def rate(
    book: PriceBook, *, price_class: str, quantities: Mapping[str, int], at: datetime
) -> Rated:
    """The lines of ``quantities`` by the prices in force ``at``, sorted by meter.

    Meters without a price in the class give no line: they are measured, not sold. A line is rounded
    once, half even. Raises ``UnknownPriceClassError``.
    """
    book.check_class(price_class)
    lines = []
    for meter, quantity in sorted(quantities.items()):
        entry = book.entry(meter=meter, price_class=price_class, at=at)
        if entry is None:
            continue
        charged = max(quantity, entry.minimum) if quantity else 0
        lines.append(
            BillLine(
                meter=meter,
                quantity=quantity,
                charged=charged,
                price=entry.price,
                effective_from=entry.effective_from,
                amount=entry.price.of(charged),
            )
        )
    total = sum((line.amount for line in lines), Money(book.currency, 0))
    return Rated(total=total, lines=tuple(lines))
