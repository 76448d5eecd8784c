"""Lines add up, minimums hold, and what has no price costs nothing."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from dli.billing.pricebook import UnknownPriceClassError, read_price_book
from dli.billing.rating import rate
from jobs.usage import COMPUTE_CU_MILLIS, SCAN_BYTES

AT = datetime(2026, 11, 21, tzinfo=UTC)


def test_scanned_bytes_are_the_only_line() -> None:
    rated = rate(
        read_price_book(),
        price_class="standard",
        quantities={SCAN_BYTES: 58_412_345, COMPUTE_CU_MILLIS: 910},
        at=AT,
    )
    assert [(line.meter, line.quantity) for line in rated.lines] == [(SCAN_BYTES, 58_412_345)]
    assert rated.total == rated.lines[0].amount
    assert rated.total.amount == "0.000265629"


def test_a_minimum_counts_only_for_a_use(tmp_path: Path) -> None:
    path = tmp_path / "prices.toml"
    path.write_text(
        'currency = "EUR"\n[[price]]\nmeter = "scan.bytes"\nclass = "standard"\n'
        'effective_from = 2026-01-01T00:00:00Z\namount = "1"\nper = 100\nminimum = 50\n'
    )
    book = read_price_book(path)
    totals = [
        rate(book, price_class="standard", quantities={SCAN_BYTES: size}, at=AT).total.amount
        for size in (0, 1, 50, 51)
    ]
    assert totals == ["0.000000000", "0.500000000", "0.500000000", "0.510000000"]


def test_nothing_used_costs_zero_in_the_lists_currency() -> None:
    rated = rate(read_price_book(), price_class="standard", quantities={}, at=AT)
    assert (rated.total.currency, rated.total.nanos, rated.lines) == ("USD", 0, ())


def test_an_unknown_class_is_refused() -> None:
    with pytest.raises(UnknownPriceClassError):
        rate(read_price_book(), price_class="gold", quantities={}, at=AT)
