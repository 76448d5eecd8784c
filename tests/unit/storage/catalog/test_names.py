from __future__ import annotations

import pytest

from storage.catalog.errors import InvalidNameError
from storage.catalog.names import column_name, did_you_mean, object_name, similar


def test_names_are_taken_in_any_case() -> None:
    assert object_name("table", "Orders_2") == "orders_2"


@pytest.mark.parametrize("name", ["", "a-b", "a.b", "a b", "ä", "a" * 129, "`", "a\n", "'"])
def test_names_that_need_quoting_are_refused(name: str) -> None:
    with pytest.raises(InvalidNameError):
        object_name("table", name)


@pytest.mark.parametrize("name", ["a b", "Größe", "a.b", "sum(x)", "x" * 255])
def test_columns_may_have_most_names(name: str) -> None:
    assert column_name(name) == name


@pytest.mark.parametrize("name", ["", "a`b", "a\tb", "x" * 256, "\x00"])
def test_columns_cannot_have_every_name(name: str) -> None:
    with pytest.raises(InvalidNameError):
        column_name(name)


def test_near_names_come_nearest_first() -> None:
    assert similar("ORDRES", ["customers", "orders", "orders_old"])[0] == "orders"
    assert similar("zzz", ["orders"]) == ()


def test_a_hint_lists_near_names_or_says_something_else() -> None:
    assert did_you_mean(["a", "b"]) == "did you mean 'a' or 'b'?"
    assert did_you_mean([], "look") == "look"
