"""What expressions without columns are worth, and where that is not certain."""

from __future__ import annotations

from datetime import date
from fractions import Fraction

import pytest
import sqlglot

from sql.scan.constants import DAY_MICROS, Kind, days_of, fold, micros_of

EPOCH = date(1970, 1, 1)


def days(text: str) -> Fraction:
    return Fraction((date.fromisoformat(text) - EPOCH).days)


@pytest.mark.parametrize(
    ("text", "kind", "value"),
    [
        ("5", Kind.INTEGER, Fraction(5)),
        ("-(2 + 3 * 4)", Kind.INTEGER, Fraction(-14)),
        ("5L", Kind.INTEGER, Fraction(5)),
        ("0.06 - 0.01", Kind.DECIMAL, Fraction(1, 20)),
        ("1.50BD", Kind.DECIMAL, Fraction(3, 2)),
        (".5", Kind.DECIMAL, Fraction(1, 2)),
        ("2.5e-1", Kind.DOUBLE, 0.25),
        ("CAST(0.5 AS DOUBLE)", Kind.DOUBLE, 0.5),
        ("CAST('0.05' AS DECIMAL(4, 2))", Kind.DECIMAL, Fraction(1, 20)),
        ("'a' || concat('b', \"c\")", Kind.STRING, "abc"),
        ("TRUE", Kind.BOOLEAN, Fraction(1)),
        ("NULL", Kind.NULL, None),
        ("CAST(NULL AS DATE)", Kind.NULL, None),
        ("DATE '1998-12-01' - INTERVAL 90 DAY", Kind.DATE, days("1998-09-02")),
        ("DATE '1998-12-01' - INTERVAL '90' DAYS", Kind.DATE, days("1998-09-02")),
        ("INTERVAL 1 WEEK + DATE '1998-12-01'", Kind.DATE, days("1998-12-08")),
        ("DATE '2024-01-31' + INTERVAL 1 MONTH", Kind.DATE, days("2024-02-29")),
        ("DATE '2024-03-31' - INTERVAL 1 QUARTER", Kind.DATE, days("2023-12-31")),
        ("DATE '2024-02-29' + INTERVAL 1 YEAR", Kind.DATE, days("2025-02-28")),
        ("DATE '2024-01-31' + INTERVAL 1 YEAR 1 MONTH", Kind.DATE, days("2025-02-28")),
        ("DATE '2024-02-28' + 2", Kind.DATE, days("2024-03-01")),
        ("date_sub(DATE '2024-03-01', 1)", Kind.DATE, days("2024-02-29")),
        ("add_months(DATE '2024-01-31', 13)", Kind.DATE, days("2025-02-28")),
        ("to_date('2024-01-31')", Kind.DATE, days("2024-01-31")),
        ("CAST('2024-01-31' AS DATE)", Kind.DATE, days("2024-01-31")),
        ("CAST(TIMESTAMP '1969-12-31 23:00:00' AS DATE)", Kind.DATE, Fraction(-1)),
        ("TIMESTAMP '1970-01-02 00:00:00.5'", Kind.TIMESTAMP, Fraction(DAY_MICROS + 500_000)),
        ("TIMESTAMP '1970-01-01 02:00:00+02:00'", Kind.TIMESTAMP, Fraction(0)),
        ("TIMESTAMP '1970-01-01' + INTERVAL 2 HOURS", Kind.TIMESTAMP, Fraction(7_200_000_000)),
        ("CAST(DATE '1970-01-02' AS TIMESTAMP)", Kind.TIMESTAMP, Fraction(DAY_MICROS)),
    ],
)
def test_a_constant_is_folded_exactly(text: str, kind: Kind, value: object) -> None:
    found = fold(sqlglot.parse_one(text, read="spark"))
    assert found is not None
    assert (found.kind, found.low, found.high) == (kind, value, value)


@pytest.mark.parametrize(
    "text",
    [
        "x", "1 + x", "rand()", "current_date()", "2147483647 + 1", "7 / 2", "7 % 2",
        "CAST('5' AS INT)", "CAST(5 AS STRING)", "CAST(0.1 AS FLOAT)",
        "CAST(0.055 AS DECIMAL(4, 2))",
        "CAST(300 AS TINYINT)", "DATE '2024-02-30'", "CAST('2024-1-5' AS DATE)",
        "CAST('today' AS DATE)", "DATE '2024-01-01' + INTERVAL 3 HOURS", "DATE '9999-12-31' + 1",
        "'2024-01-01' + INTERVAL 1 DAY", "to_date('01/02/2024', 'dd/MM/yyyy')", "X'1F'",
        "INTERVAL '1-2' YEAR TO MONTH", "TIMESTAMP '2024-01-01 25:00:00'", "-'a'", "1.5 + '1'",
        "12345678901234567890123456789012345",
    ],
)  # fmt: skip
def test_what_engines_may_see_otherwise_is_unknown(text: str) -> None:
    assert fold(sqlglot.parse_one(text, read="spark")) is None


def test_a_decimal_as_a_double_is_known_to_a_step() -> None:
    found = fold(sqlglot.parse_one("CAST(0.1 AS DOUBLE)", read="spark"))
    assert found is not None
    assert not found.exact
    assert found.low < 0.1 < found.high


def test_a_long_chain_is_unknown_rather_than_too_deep() -> None:
    assert fold(sqlglot.parse_one("1" + " + 1" * 300, read="spark")) is None


@pytest.mark.parametrize("text", ["", "2024-01", "2024-13-01", "x2024-01-01", "2024-01-01 1:00:00"])
def test_texts_that_are_no_moments(text: str) -> None:
    assert (days_of(text), micros_of(text)) == (None, None)
