"""From a folder that an engine wrote to a table: once, or not at all."""

from __future__ import annotations

from datetime import timedelta

import pyarrow as pa
import pytest

from storage.base.ids import JobId, SnapshotId, TableId
from storage.catalog.commands import CreateView, DropTable
from storage.catalog.definitions import Column, TableDef
from storage.catalog.errors import (
    DatabaseMissingError,
    TableChangedError,
    TableExistsError,
    TableMissingError,
    UnknownTypeError,
)
from storage.tables.errors import (
    CorruptFileError,
    FileTypeChangedError,
    PartialWriteError,
    StageClosedError,
    TableNotWritableError,
    WrittenSchemaUnknownError,
)
from storage.tables.writes import Commit, CommitMode, Stage
from tests.support.lake import PROJECT, Lake
from tests.support.parquet import write

CREATE, APPEND, OVERWRITE = CommitMode.CREATE, CommitMode.APPEND, CommitMode.OVERWRITE
X = Column(name="x", type="bigint")


def rows(lake: Lake, table: TableDef) -> int | None:
    """Rows of the table at its own snapshot."""
    return lake.snapshot(table).rows


def filled(
    lake: Lake, table_id: TableId | None, count: int = 1, *, job: str = "stm_1", attempt: int = 1
) -> Stage:
    """A stage with one file of ``count`` rows."""
    stage = lake.stage(table_id, job=job, attempt=attempt)
    lake.fill(stage, {"x": list(range(count))})
    return stage


def test_a_stage_is_a_new_folder_of_the_table(lake: Lake) -> None:
    table = lake.make()
    first, second = lake.stage(table.id), lake.stage(table.id)
    assert first.prefix != second.prefix
    assert first.prefix.startswith(f"project-tables/{PROJECT}/{table.id}/data/")
    assert first.uri == lake.warehouse.uri(first.prefix.rstrip("/"))


def test_a_table_to_be_has_its_folder_below_its_project(lake: Lake) -> None:
    stage = filled(lake, None)
    made = lake.commit(stage, CREATE, columns=(X,))
    assert made.location == f"project-tables/{PROJECT}/{made.id}/"
    assert stage.prefix.startswith(f"{made.location}data/")


def test_a_table_from_before_is_written_where_it_lies(lake: Lake) -> None:
    table = lake.make_former()
    after = lake.write(APPEND, lake.write(APPEND, table, {"x": [1]}), {"x": [2]})
    assert rows(lake, after) == 2
    assert all(key.startswith(f"tables/{table.id}/data/") for key in lake.objects())


def test_what_is_staged_is_not_seen(lake: Lake) -> None:
    table = lake.make()
    filled(lake, table.id)
    assert rows(lake, lake.find("m")) == 0


def test_an_append_adds_files(lake: Lake) -> None:
    table = lake.write(APPEND, lake.make(), {"x": [1, 2]}, {"x": [3]})
    after = lake.write(APPEND, table, {"x": [9]})
    assert (after.version, lake.find("m")) == (3, after)
    assert rows(lake, after) == 4
    assert rows(lake, table) == 3
    groups = lake.snapshot(after).groups
    assert groups is not None
    assert groups.columns["x"].upper is not None
    assert groups.columns["x"].upper.tolist() == [2, 3, 9]
    assert groups.file.tolist() == [0, 1, 2]


def test_an_append_goes_on_top_of_what_came_meanwhile(lake: Lake) -> None:
    table = lake.make()
    slow = filled(lake, table.id, 5)
    lake.write(APPEND, table, {"x": [1, 2]})
    assert rows(lake, lake.commit(slow, APPEND, table=table, base=table.snapshot_id)) == 7


def test_an_overwrite_replaces_all(lake: Lake) -> None:
    table = lake.write(APPEND, lake.make(), {"x": [1, 2]})
    after = lake.write(OVERWRITE, table, {"x": [9]})
    assert rows(lake, after) == 1
    assert rows(lake, table) == 2


def test_an_overwrite_by_nothing_empties(lake: Lake) -> None:
    table = lake.write(APPEND, lake.make(), {"x": [1, 2]})
    after = lake.write(OVERWRITE, table)
    assert (after.version, rows(lake, after)) == (3, 0)


def test_an_append_of_nothing_changes_nothing(lake: Lake) -> None:
    table = lake.make()
    assert lake.write(APPEND, table) == table


def test_an_overwrite_of_what_was_not_read_conflicts(lake: Lake) -> None:
    table = lake.make()
    slow = filled(lake, table.id)
    newer = lake.write(APPEND, table, {"x": [1]})
    with pytest.raises(TableChangedError):
        lake.commit(slow, OVERWRITE, table=table, base=table.snapshot_id)
    assert lake.find("m") == newer
    assert rows(lake, newer) == 1


def test_a_created_table_has_the_columns_that_were_written(lake: Lake) -> None:
    stage = lake.stage(None)
    lake.fill(stage, pa.table({"Id": pa.array([1], pa.int32()), "s": ["x"]}))
    columns = (Column(name="Id", type="", comment="key"), Column(name="s", type="string"))
    table = lake.commit(stage, CREATE, columns=columns, comment="new")
    assert table.columns == (
        Column(name="Id", type="int", comment="key"),
        Column(name="s", type="string"),
    )
    assert (table.id, table.comment) == (stage.table_id, "new")
    assert lake.find("m") == table
    assert rows(lake, table) == 1


def test_a_column_of_nothing_but_null_needs_a_type(lake: Lake) -> None:
    stage = lake.stage(None)
    lake.fill(stage, pa.table({"a": [1], "b": pa.nulls(1)}))
    columns = (Column(name="a", type=""), Column(name="b", type=""))
    with pytest.raises(UnknownTypeError, match="'b' has no type"):
        lake.commit(stage, CREATE, columns=columns)


def test_a_table_created_of_nothing_needs_types(lake: Lake) -> None:
    with pytest.raises(WrittenSchemaUnknownError):
        lake.commit(lake.stage(None), CREATE, columns=(Column(name="x", type=""),))
    table = lake.commit(lake.stage(None), CREATE, columns=(X,))
    assert rows(lake, table) == 0


def test_create_meets_a_table_that_came_meanwhile(lake: Lake) -> None:
    there = lake.write(APPEND, lake.make(), {"x": [7, 8]})
    with pytest.raises(TableExistsError):
        lake.commit(filled(lake, None), CREATE)
    assert lake.commit(filled(lake, None), CREATE, if_not_exists=True) == there
    assert rows(lake, lake.find("m")) == 2
    replaced = lake.commit(filled(lake, None, 5), CREATE, or_replace=True)
    assert lake.find("m") == replaced
    assert rows(lake, replaced) == 5
    assert rows(lake, there) == 2


def test_create_needs_its_database(lake: Lake) -> None:
    stage = filled(lake, None)
    files = lake.tables.inspect(stage)
    with pytest.raises(DatabaseMissingError), lake.database.transaction() as tx:
        lake.tables.commit(
            tx,
            Commit(
                project_id=PROJECT,
                stage=stage,
                files=files,
                mode=CREATE,
                database="none",
                name="m",
            ),
        )
    lake.commit(stage, CREATE)


def test_a_stage_is_committed_once(lake: Lake) -> None:
    table = lake.make()
    stage = filled(lake, table.id)
    lake.commit(stage, APPEND, table=table)
    with pytest.raises(StageClosedError):
        lake.commit(stage, APPEND, table=table)
    assert rows(lake, lake.find("m")) == 1


def test_an_attempt_that_was_given_up_cannot_commit(lake: Lake) -> None:
    table = lake.make()
    old, new = filled(lake, table.id, attempt=1), filled(lake, table.id, attempt=2)
    other = filled(lake, table.id, job="stm_2")
    with lake.database.transaction() as tx:
        assert lake.tables.abandon(tx, JobId("stm_1"), attempt=1) == 1
    with pytest.raises(StageClosedError):
        lake.commit(old, APPEND, table=table)
    lake.commit(new, APPEND, table=table)
    with lake.database.transaction() as tx:
        assert lake.tables.abandon(tx, JobId("stm_1")) == 0
    lake.commit(other, APPEND, table=table)
    assert rows(lake, lake.find("m")) == 2


def test_a_refused_commit_leaves_the_stage_open(lake: Lake) -> None:
    table = lake.make()
    stage = lake.stage(table.id)
    lake.fill(stage, {"x": ["not a number"]})
    with pytest.raises(FileTypeChangedError):
        lake.commit(stage, APPEND, table=table)
    lake.fill(stage, {"x": [1]})
    lake.commit(stage, APPEND, table=table)


def test_a_table_dropped_meanwhile_takes_no_rows(lake: Lake) -> None:
    table = lake.make()
    stage = filled(lake, table.id)
    lake.apply(DropTable(database="d", name="m"))
    with pytest.raises(TableMissingError):
        lake.commit(stage, APPEND, table=table)
    with pytest.raises(TableChangedError):
        lake.stage(table.id)


def test_what_is_not_ours_is_not_written(lake: Lake) -> None:
    write(lake.data / "f.parquet", {"x": [1]})
    external = lake.register(lake.data)
    lake.apply(CreateView(database="d", name="v", columns=(X,), sql="SELECT 1 x"))
    for table in (external, lake.find("v")):
        with pytest.raises(TableNotWritableError):
            lake.stage(table.id)


def test_marks_of_engines_are_passed_over(lake: Lake) -> None:
    table = lake.make()
    stage = filled(lake, table.id, 3)
    for name in ("_SUCCESS", ".part-0.parquet.crc", "_temporary_done/x"):
        lake.warehouse.put(stage.prefix + name, b"x")
    lake.warehouse.put(stage.prefix + "empty.parquet", b"")
    assert lake.tables.inspect(stage).rows == 3


@pytest.mark.parametrize("name", ["a.parquet#1", "_temporary/0/a.parquet"])
def test_unfinished_files_are_no_success(lake: Lake, name: str) -> None:
    stage = filled(lake, lake.make().id)
    lake.warehouse.put(stage.prefix + name, b"x" * 50)
    with pytest.raises(PartialWriteError):
        lake.tables.inspect(stage)


def test_a_cut_file_is_no_success(lake: Lake) -> None:
    stage = filled(lake, lake.make().id)
    lake.warehouse.put(stage.prefix + "b.parquet", b"PAR1" + b"x" * 50)
    with pytest.raises(CorruptFileError, match=r"b\.parquet"):
        lake.tables.inspect(stage)


def test_nothing_written_is_nothing_found(lake: Lake) -> None:
    found = lake.tables.inspect(lake.stage(lake.make().id))
    assert (found.files, found.rows, found.size) == ((), 0, 0)


def test_many_appends_are_read_as_one_table(lake: Lake) -> None:
    table = lake.make()
    history = [table]
    for number in range(70):
        history.append(lake.write(APPEND, history[-1], {"x": [number]}))
    assert [rows(lake, one) for one in history] == list(range(71))
    groups = lake.snapshot(history[-1]).groups
    assert groups is not None
    assert groups.columns["x"].lower is not None
    assert groups.columns["x"].lower.tolist() == list(range(70))
    with lake.database.read() as tx:
        details = lake.tables.describe(tx, history[-1])
    assert (details.snapshots[0].number, details.snapshots[0].rows) == (71, 70)
    assert details.snapshots[0].files == 70
    assert details.snapshots[0].bytes == lake.snapshot(history[-1]).size


def test_a_stage_of_an_unknown_snapshot_conflicts(lake: Lake) -> None:
    table = lake.make()
    with pytest.raises(TableChangedError):
        lake.commit(filled(lake, table.id), OVERWRITE, table=table, base=SnapshotId("snp_other"))


def test_an_expired_stage_cannot_be_committed(lake: Lake) -> None:
    table = lake.make()
    stage = filled(lake, table.id)
    lake.clock.advance(timedelta(hours=3))
    lake.tables.sweep()
    assert lake.objects() == []
    with pytest.raises(StageClosedError):
        lake.commit(stage, APPEND, table=table)
