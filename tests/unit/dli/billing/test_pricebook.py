"""The price list is checked as a whole before a single price of it counts."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from dli.billing.pricebook import (
    NoPriceError,
    PriceListError,
    UnknownPriceClassError,
    read_price_book,
)
from jobs.usage import SCAN_BYTES

ENTRY = """
[[price]]
meter = "scan.bytes"
class = "standard"
effective_from = {start}
amount = "{amount}"
per = 1000
"""


def price_list(tmp_path: Path, *entries: str, head: str = 'currency = "USD"\n') -> Path:
    path = tmp_path / "prices.toml"
    path.write_text(head + "".join(entries))
    return path


def entry(start: str = "2026-01-01T00:00:00Z", amount: str = "5") -> str:
    return ENTRY.format(start=start, amount=amount)


def test_the_shipped_list_charges_five_dollars_a_tebibyte() -> None:
    book = read_price_book()
    found = book.entry(
        meter=SCAN_BYTES, price_class="standard", at=datetime(2026, 11, 21, tzinfo=UTC)
    )
    assert found is not None
    assert found.price.of(2**40).amount == "5.000000000"
    assert found.minimum == 0


def test_a_price_holds_from_its_hour_on(tmp_path: Path) -> None:
    path = price_list(tmp_path, entry(), entry("2026-03-01T00:00:00Z", "7"))
    book, change = read_price_book(path), datetime(2026, 3, 1, tzinfo=UTC)
    amounts = []
    for at in (change - timedelta(microseconds=1), change, change + timedelta(days=900)):
        found = book.entry(meter=SCAN_BYTES, price_class="standard", at=at)
        assert found is not None
        amounts.append(found.price.of(1000).amount)
    assert amounts == ["5.000000000", "7.000000000", "7.000000000"]


def test_before_the_first_price_there_is_none(tmp_path: Path) -> None:
    book = read_price_book(price_list(tmp_path, entry()))
    with pytest.raises(NoPriceError, match="in force yet"):
        book.entry(meter=SCAN_BYTES, price_class="standard", at=datetime(2025, 1, 1, tzinfo=UTC))


def test_an_unknown_class_is_told_with_a_near_one() -> None:
    with pytest.raises(UnknownPriceClassError) as caught:
        read_price_book().check_class("standart")
    assert caught.value.hint == "did you mean 'standard'?"


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (("2026-01-01T00:00:00Z", "2026-01-01T00:30:00Z"), "full UTC hour"),
        (("2026-01-01T00:00:00Z", "2026-01-01T00:00:00+05:30"), "full UTC hour"),
        (("2026-01-01T00:00:00Z", "2026-01-01T00:00:00"), "time zone"),
        (("scan.bytes", "compute.cu_ms"), "cannot have a price"),
        (('"5"', '"five"'), "not an amount"),
        (('"5"', "5.0"), "valid string"),
        (("per = 1000", "per = 0"), "greater than 0"),
        (("per = 1000", "per = 1000\nprr = 1"), "price.0.prr"),
        (("per = 1000", "per = "), "cannot be read"),
        (("class =", "klass ="), "price.0.class"),
    ],
)
def test_a_wrong_entry_is_told_by_place(
    tmp_path: Path, change: tuple[str, str], reason: str
) -> None:
    with pytest.raises(PriceListError, match=reason):
        read_price_book(price_list(tmp_path, entry().replace(*change)))


def test_two_prices_of_one_hour_are_refused(tmp_path: Path) -> None:
    same_hour = entry("2026-01-01T02:00:00+02:00", "9")
    with pytest.raises(PriceListError, match="two prices"):
        read_price_book(price_list(tmp_path, entry(), same_hour))


def test_a_missing_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(PriceListError, match="cannot be read"):
        read_price_book(tmp_path / "none.toml")
