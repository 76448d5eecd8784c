from __future__ import annotations

from pathlib import Path

import pytest

from jobs.engines.connect.dialect import Dialect
from jobs.engines.connect.tables import relation, schema_ddl
from storage.catalog.definitions import Column
from tests.support.engines import binding


def dialect(*, folders: bool) -> Dialect:
    return Dialect(name="x", address=str.upper, partition_folders=folders, quoted_views=False)


COLUMNS = [("a", "bigint"), ("p", "string")]


def test_ddl_quotes_names() -> None:
    columns = [Column(name="a`b", type="int"), Column(name="x.y", type="array<string>")]
    assert schema_ddl(columns) == "`a``b` int, `x.y` array<string>"


def test_files_become_addresses_and_options_go_along() -> None:
    files = [Path("/d/1"), Path("/d/2")]
    table = binding("t", COLUMNS[:1], files, options=[("sep", ";")])
    source = relation(table, dialect(folders=True)).read.data_source
    assert list(source.paths) == ["FILE:///D/1", "FILE:///D/2"]
    assert source.schema == "`a` bigint"
    assert dict(source.options) == {"sep": ";"}


@pytest.mark.parametrize(
    ("path", "value", "by_folder"),
    [
        ("/d/p=1/f", "1", True),
        ("/d/p=a%20b/f", "a b", True),
        ("/d/p=__HIVE_DEFAULT_PARTITION__/f", None, True),
        ("/d/p=é/f", "é", True),
        ("/d/p=%C3%A9/f", "é", False),
        ("/d/p=1/f", "2", False),
        ("/d/p=/f", "", False),
        ("/d/P=1/f", "1", False),
        ("/d/q=1/f", "1", False),
        ("/d/p=1/deeper/f", "1", False),
        ("/f", "1", False),
    ],
)
def test_folders_are_trusted_only_where_they_agree(
    path: str, value: str | None, by_folder: bool
) -> None:
    table = binding("t", COLUMNS, [(Path(path), (value,))], partitioned_by=("p",))
    made = relation(table, dialect(folders=True)).project.input.read.data_source
    assert (made.options["basePath"] == "file:///d/") is by_folder
    assert ("`p` string" in made.schema) is by_folder


def test_folders_below_two_bases_are_not_trusted() -> None:
    files = [(Path("/d/p=1/f"), ("1",)), (Path("/e/p=2/f"), ("2",))]
    made = relation(binding("t", COLUMNS, files, partitioned_by=("p",)), dialect(folders=True))
    assert made.WhichOneof("rel_type") == "set_op"


def test_partitions_are_one_read_each_in_a_balanced_union() -> None:
    files = [(Path(f"/d/{n}"), (str(n % 3),)) for n in range(9)]
    table = binding("t", COLUMNS, files, partitioned_by=("p",))
    made = relation(table, dialect(folders=False))
    leaves: list[int] = []

    def walk(node: object, depth: int) -> int:
        if node.WhichOneof("rel_type") == "set_op":  # type: ignore[attr-defined]
            return max(
                walk(node.set_op.left_input, depth + 1),  # type: ignore[attr-defined]
                walk(node.set_op.right_input, depth + 1),  # type: ignore[attr-defined]
            )
        read = node.project.input.read if node.HasField("project") else node.read  # type: ignore[attr-defined]
        leaves.append(len(read.data_source.paths))
        return depth

    assert walk(made, 0) == 2
    assert leaves == [1, 3, 3, 3]  # the first has nothing in it
