from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from storage.catalog.definitions import Column
from storage.tables.errors import PartitionLayoutError
from storage.tables.layout import check_values, partition_columns, read_layout

BASE = "file:///data/orders"


def kinds(*values: str) -> list[str]:
    """The inferred type of a partition column with these values."""
    layout = read_layout(BASE, [f"{BASE}/k={value}/f.parquet" for value in values])
    return [column.type for column in partition_columns(layout, {})]


def test_folders_become_columns_in_their_order() -> None:
    layout = read_layout(BASE, [f"{BASE}/Day=2026-01-01/country=DE/part-0.parquet"])
    assert layout.names == ("Day", "country")
    assert layout.values == (("2026-01-01", "DE"),)


def test_values_and_names_are_url_decoded() -> None:
    layout = read_layout(BASE, [f"{BASE}/a%20b=x%2Fy=%25/f.csv"])
    assert (layout.names, layout.values) == (("a b",), (("x/y=%",),))


@pytest.mark.parametrize("value", ["__HIVE_DEFAULT_PARTITION__", ""])
def test_the_folder_of_null_is_null(value: str) -> None:
    assert read_layout(BASE, [f"{BASE}/k={value}/f"]).values == ((None,),)


def test_other_folders_and_the_files_own_name_hold_no_columns() -> None:
    layout = read_layout(BASE, [f"{BASE}/2026/=x/a=b.parquet"])
    assert (layout.names, layout.values) == ((), ((),))


def test_the_base_itself_holds_no_columns() -> None:
    assert read_layout("s3://b/day=1", ["s3://b/day=1/f.parquet"]).names == ()


@pytest.mark.parametrize("other", ["f", "l=1/f", "k=1/l=2/f"])
def test_files_of_other_columns_are_refused(other: str) -> None:
    with pytest.raises(PartitionLayoutError, match=other):
        read_layout(BASE, [f"{BASE}/k=1/f", f"{BASE}/{other}"])


def test_names_may_differ_in_case() -> None:
    assert read_layout(BASE, [f"{BASE}/K=1/f", f"{BASE}/k=2/f"]).names == ("K",)


def test_types_come_from_all_values() -> None:
    assert kinds("1", "-20", "007") == ["int"]
    assert kinds("1", "3000000000") == ["bigint"]
    assert kinds("2026-01-01", "2026-02-28") == ["date"]
    assert kinds("2026-01-01", "1") == ["string"]
    assert kinds("2026-02-30") == ["string"]
    assert kinds("1.5") == ["string"]
    assert kinds("٣") == ["string"]
    assert kinds("__HIVE_DEFAULT_PARTITION__", "5") == ["int"]
    assert kinds("__HIVE_DEFAULT_PARTITION__") == ["string"]
    assert kinds("9" * 30) == ["string"]


def test_a_given_column_keeps_its_type() -> None:
    layout = read_layout(BASE, [f"{BASE}/k=1/f"])
    given_column = Column(name="K", type="string", comment="c")
    assert partition_columns(layout, {"k": given_column}) == (given_column,)


@pytest.mark.parametrize(
    ("kind", "value", "fits"),
    [
        ("int", "2147483647", True), ("int", "2147483648", False), ("int", "a", False),
        ("tinyint", "-128", True), ("bigint", "99999999999", True), ("date", "2026-1-1", False),
        ("boolean", "TRUE", True), ("boolean", "1", False), ("string", "anything", True),
    ],
)  # fmt: skip
def test_values_must_be_of_the_columns_type(kind: str, value: str, fits: bool) -> None:
    uris = [f"{BASE}/k={value}/f"]
    layout, columns = read_layout(BASE, uris), [Column(name="k", type=kind)]
    if fits:
        check_values(uris, layout, columns)
    else:
        with pytest.raises(PartitionLayoutError, match=f"'{value}' is no {kind}"):
            check_values(uris, layout, columns)


@given(st.lists(st.sampled_from("0123456789-2026-01-01x"), min_size=1).map("".join))
def test_an_inferred_type_holds_its_values(value: str) -> None:
    uris = [f"{BASE}/k={value}/f"]
    layout = read_layout(BASE, uris)
    check_values(uris, layout, partition_columns(layout, {}))
