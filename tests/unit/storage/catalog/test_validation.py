from __future__ import annotations

import pytest

from storage.catalog.definitions import Column
from storage.catalog.errors import InvalidDefinitionError, UnknownTypeError
from storage.catalog.validation import checked_columns, checked_partitions, partitions_last

A, B, C = (Column(name=name, type="int") for name in "aBc")


def test_types_become_canonical_and_the_rest_stays() -> None:
    column = Column(name="Price", type="NUMERIC(9, 2)", nullable=False, comment="net")
    (checked,) = checked_columns([column], of="d.t")
    assert checked == Column(name="Price", type="decimal(9,2)", nullable=False, comment="net")


def test_columns_that_differ_in_case_only_are_refused() -> None:
    with pytest.raises(InvalidDefinitionError, match="two columns"):
        checked_columns([A, Column(name="A", type="int")], of="d.t")


def test_a_table_needs_columns() -> None:
    with pytest.raises(InvalidDefinitionError, match="no columns"):
        checked_columns([], of="d.t")


def test_a_wrong_type_names_its_column() -> None:
    with pytest.raises(UnknownTypeError, match="'price'") as caught:
        checked_columns([Column(name="price", type="stirng")], of="d.t")
    assert caught.value.hint == "did you mean 'string'?"


def test_partitions_are_spelled_as_the_columns_and_come_last() -> None:
    names = checked_partitions(["b"], [A, B, C])
    assert names == ("B",)
    assert partitions_last([A, B, C], names) == (A, C, B)


@pytest.mark.parametrize("names", [["x"], ["a", "A"]])
def test_partitions_are_columns_named_once(names: list[str]) -> None:
    with pytest.raises(InvalidDefinitionError):
        checked_partitions(names, [A, B, C])
