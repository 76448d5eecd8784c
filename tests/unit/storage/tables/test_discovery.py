"""What registering a location makes of the files there, and which files it refuses."""

from __future__ import annotations

import pyarrow as pa
import pytest

from storage.base.errors import ServiceError
from storage.catalog.definitions import Column, TableFormat, TableKind
from storage.catalog.errors import InvalidDefinitionError, UnknownTypeError
from storage.objects.locations import LocationForbiddenError
from storage.tables.errors import (
    CorruptFileError,
    FileTypeChangedError,
    NoFilesError,
    PartitionLayoutError,
    ReaderOptionError,
)
from tests.support.lake import PROJECT, Lake
from tests.support.parquet import write

INT = Column(name="a", type="int")


def columns(lake: Lake, **command: object) -> dict[str, str]:
    """Columns of the data folder when it is registered."""
    return {one.name: one.type for one in lake.register(lake.data, **command).columns}


def test_columns_come_from_the_footers(lake: Lake) -> None:
    write(lake.data / "f.parquet", {"Id": [1], "note": ["x"]})
    table = lake.register(lake.data)
    assert (table.kind, table.format) == (TableKind.EXTERNAL, TableFormat.PARQUET)
    assert [(one.name, one.type) for one in table.columns] == [("Id", "bigint"), ("note", "string")]
    assert table.location == f"file://{lake.data}"
    assert lake.find() == table


def test_a_file_and_a_pattern_are_locations_too(lake: Lake) -> None:
    write(lake.data / "x" / "f.parquet", {"a": [1]})
    write(lake.data / "y" / "g.parquet", {"b": [1]})
    assert lake.register(lake.data / "x" / "f.parquet").columns[0].name == "a"
    pattern = lake.register(lake.data / "*" / "g.*", or_replace=True)
    assert pattern.columns[0].name == "b"


def test_files_may_differ_in_columns_and_width(lake: Lake) -> None:
    write(lake.data / "1.parquet", pa.table({"a": pa.array([1], pa.int32()), "b": [1.5]}))
    write(lake.data / "2.parquet", pa.table({"A": [2**40], "c": ["x"]}))
    assert columns(lake) == {"a": "bigint", "b": "double", "c": "string"}
    groups = lake.snapshot(lake.find()).groups
    assert groups is not None
    assert groups.columns["b"].nulls.tolist() == [0, 1]
    assert groups.columns["c"].nulls.tolist() == [1, 0]


def test_columns_of_a_file_differ_in_more_than_case(lake: Lake) -> None:
    write(lake.data / "f.parquet", {"a": [1], "A": [2]})
    with pytest.raises(InvalidDefinitionError, match="'a' and 'A' differ in case only"):
        lake.register(lake.data)


def test_partition_folders_become_the_last_columns(lake: Lake) -> None:
    write(lake.data / "day=2026-01-01" / "hour=7" / "f.parquet", {"hour": [99], "a": [1]})
    write(lake.data / "day=__HIVE_DEFAULT_PARTITION__" / "hour=23" / "f.parquet", {"a": [1]})
    table = lake.register(lake.data)
    assert [(one.name, one.type) for one in table.columns] == [
        ("a", "bigint"),
        ("day", "date"),
        ("hour", "int"),
    ]
    assert table.partitioned_by == ("day", "hour")
    snapshot = lake.snapshot(table)
    assert {file.partition for file in snapshot.files} == {("2026-01-01", "7"), (None, "23")}
    assert snapshot.groups is not None
    assert set(snapshot.groups.columns) == {"a"}


def test_given_columns_are_kept_and_checked(lake: Lake) -> None:
    write(lake.data / "k=1" / "f.parquet", pa.table({"a": pa.array([1], pa.int16())}))
    given = (Column(name="k", type="string"), INT, Column(name="later", type="date"))
    assert columns(lake, columns=given, partitioned_by=("K",)) == {
        "a": "int",
        "later": "date",
        "k": "string",
    }


def test_a_text_format_has_no_groups(lake: Lake) -> None:
    (lake.data / "f.csv").write_text("a;b\n1;x\n")
    options = (("header", "true"), ("delimiter", ";"), ("inferSchema", "true"))
    table = lake.register(lake.data, format=TableFormat.CSV, options=options)
    assert [(one.name, one.type) for one in table.columns] == [("a", "bigint"), ("b", "string")]
    assert table.options == (("header", "true"), ("sep", ";"))
    snapshot = lake.snapshot(table)
    assert (snapshot.groups, snapshot.rows, snapshot.size) == (None, None, 8)


def test_given_columns_allow_a_place_without_files(lake: Lake) -> None:
    table = lake.register(lake.data, columns=(INT,))
    snapshot = lake.snapshot(table)
    assert (snapshot.files, snapshot.rows) == ((), 0)
    assert snapshot.groups is not None
    assert list(snapshot.groups.columns) == ["a"]
    write(lake.data / "f.parquet", pa.table({"a": pa.array([1], pa.int32())}))
    assert lake.snapshot(lake.refresh(table)).rows == 1


def test_only_allowed_folders_are_looked_at(lake: Lake) -> None:
    with pytest.raises(LocationForbiddenError):
        lake.register("/etc")


def test_a_place_without_files_tells_no_columns(lake: Lake) -> None:
    with pytest.raises(NoFilesError, match=str(lake.data)):
        lake.register(lake.data)


def test_a_corrupt_file_is_named(lake: Lake) -> None:
    write(lake.data / "good.parquet", {"a": [1]})
    (lake.data / "bad.parquet").write_bytes(b"x" * 100)
    with pytest.raises(CorruptFileError, match=r"bad\.parquet"):
        lake.register(lake.data)


def test_types_that_do_not_meet_name_file_and_column(lake: Lake) -> None:
    write(lake.data / "1.parquet", {"a": [1]})
    write(lake.data / "2.parquet", {"a": ["x"]})
    with pytest.raises(FileTypeChangedError, match=r"2\.parquet: the column 'a' is string"):
        lake.register(lake.data)


def test_a_given_type_that_the_file_does_not_have_is_refused(lake: Lake) -> None:
    write(lake.data / "1.parquet", {"a": [2**40]})
    with pytest.raises(FileTypeChangedError, match="cannot be read as int"):
        lake.register(lake.data, columns=(INT,))


def test_a_type_that_no_engine_reads_may_be_left_out(lake: Lake) -> None:
    write(lake.data / "1.parquet", pa.table({"t": pa.array([1], pa.timestamp("ns")), "a": [1]}))
    with pytest.raises(UnknownTypeError, match="'t'"):
        lake.register(lake.data)
    assert columns(lake, columns=(Column(name="a", type="bigint"),)) == {"a": "bigint"}


@pytest.mark.parametrize(
    ("command", "error"),
    [
        ({"partitioned_by": ("day",)}, InvalidDefinitionError),
        ({"columns": (INT, INT)}, InvalidDefinitionError),
        ({"columns": (Column(name="a", type="intt"),)}, UnknownTypeError),
        ({"options": (("header", "true"),)}, ReaderOptionError),
    ],
)
def test_definitions_that_do_not_fit_are_refused(
    lake: Lake, command: dict[str, object], error: type[ServiceError]
) -> None:
    write(lake.data / "k=1" / "f.parquet", pa.table({"a": pa.array([1], pa.int32())}))
    with pytest.raises(error):
        lake.register(lake.data, **command)


def test_partition_values_must_be_of_the_given_type(lake: Lake) -> None:
    write(lake.data / "k=x" / "f.parquet", pa.table({"a": pa.array([1], pa.int32())}))
    with pytest.raises(PartitionLayoutError, match="'x' is no int"):
        lake.register(lake.data, columns=(INT, Column(name="k", type="int")))


def test_nothing_is_kept_of_a_refused_registration(lake: Lake) -> None:
    (lake.data / "bad.parquet").write_bytes(b"x" * 100)
    with pytest.raises(CorruptFileError):
        lake.register(lake.data)
    with lake.database.read() as tx:
        assert lake.catalog.tables(tx, PROJECT, "d") == ()
