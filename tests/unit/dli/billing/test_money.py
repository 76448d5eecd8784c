"""Money is exact: one rounding, half even, and no float anywhere."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dli.billing.money import Money, Price, format_nanos
from storage.base.quantities import LARGEST, parse_amount


@given(st.integers(min_value=-(2**63), max_value=2**63))
def test_format_then_parse_gives_the_same(value: int) -> None:
    text = format_nanos(value)
    assert text[-10] == "."
    assert Fraction(text) * 10**9 == value


@given(st.integers(0, LARGEST))
def test_parse_of_a_formatted_amount_is_the_amount(value: int) -> None:
    assert parse_amount(format_nanos(value)) == value


@given(
    st.integers(min_value=0, max_value=10**12),
    st.integers(min_value=1, max_value=2**50),
    st.integers(min_value=0, max_value=2**60),
)
def test_a_price_is_rounded_once_half_even(amount: int, per: int, quantity: int) -> None:
    exact = Fraction(quantity * amount, per)
    assert Price(Money("USD", amount), per).of(quantity).nanos == round(exact)


@pytest.mark.parametrize(("quantity", "expected"), [(1, 0), (3, 2), (5, 2), (7, 4)])
def test_ties_go_to_the_even_side(quantity: int, expected: int) -> None:
    assert Price(Money("USD", 1), 2).of(quantity).nanos == expected


def test_a_tebibyte_costs_the_price_of_a_tebibyte() -> None:
    assert Price(Money("USD", 5 * 10**9), 2**40).of(2**40).amount == "5.000000000"


def test_a_negative_quantity_is_a_mistake() -> None:
    with pytest.raises(ValueError, match="below zero"):
        Price(Money("USD", 1), 1).of(-1)


def test_currencies_do_not_mix() -> None:
    with pytest.raises(ValueError, match="cannot be added"):
        Money("USD", 1) + Money("EUR", 1)
