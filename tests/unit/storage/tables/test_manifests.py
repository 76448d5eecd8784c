from __future__ import annotations

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from storage.tables.manifests import (
    Manifest,
    decode_files,
    decode_table,
    encode_files,
    encode_table,
    keep,
    merge,
    sort_files,
)
from storage.tables.snapshots import TableFile

FILES = st.builds(
    TableFile,
    uri=st.text(max_size=5),
    size=st.integers(0, 2**62),
    rows=st.none() | st.integers(0, 2**62),
    etag=st.text(max_size=3),
    partition=st.lists(st.none() | st.text(max_size=3), max_size=2).map(tuple),
)


def manifest(**groups: list[int]) -> Manifest:
    """Files by their names with the rows of their row groups."""
    files = tuple(TableFile(uri=name, size=1, rows=sum(g), etag="") for name, g in groups.items())
    return Manifest(
        files=files,
        groups=pa.table(
            {
                "file": pa.array(
                    [place for place, g in enumerate(groups.values()) for _ in g], pa.int32()
                ),
                "rows": pa.array([rows for g in groups.values() for rows in g], pa.int64()),
            }
        ),
    )


def shown(made: Manifest) -> dict[str, list[int]]:
    """The inverse of ``manifest``."""
    assert made.groups is not None
    found: dict[str, list[int]] = {file.uri: [] for file in made.files}
    for row in made.groups.to_pylist():
        found[made.files[row["file"]].uri].append(row["rows"])
    return found


@given(st.lists(FILES, max_size=5))
def test_files_come_back_from_their_stored_form(files: list[TableFile]) -> None:
    assert decode_files(encode_files(files)) == tuple(files)


def test_tables_come_back_from_their_stored_form() -> None:
    table = pa.table({"a": pa.chunked_array([[1], [2, None]]), "b": ["x", None, "z"]})
    assert decode_table(encode_table(table)).equals(table.combine_chunks())


def test_merging_keeps_order_and_groups() -> None:
    merged = merge([manifest(b=[1, 2]), manifest(), manifest(a=[3], c=[])])
    assert list(shown(merged).items()) == [("b", [1, 2]), ("a", [3]), ("c", [])]


def test_keeping_some_files_keeps_their_groups() -> None:
    kept = keep(manifest(a=[1], b=[2, 3], c=[4]), {"c", "b"})
    assert shown(kept) == {"b": [2, 3], "c": [4]}


def test_sorting_moves_groups_with_their_files() -> None:
    sorted_ones = sort_files(manifest(c=[1, 2], a=[3], b=[]))
    assert list(shown(sorted_ones).items()) == [("a", [3]), ("b", []), ("c", [1, 2])]
    assert sorted_ones.groups is not None
    assert sorted_ones.groups["file"].to_pylist() == [0, 2, 2]


@pytest.mark.parametrize(("rows", "total"), [([1, 2], 3), ([1, None], None), ([], 0)])
def test_rows_are_known_if_all_are(rows: list[int | None], total: int | None) -> None:
    files = tuple(TableFile(uri="", size=5, rows=one, etag="") for one in rows)
    made = Manifest(files=files, groups=None)
    assert (made.rows, made.size) == (total, 5 * len(rows))
    assert merge([made, made]).groups is None
