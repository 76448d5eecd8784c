"""Nothing half done remains, and nothing that somebody may still read is removed."""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy import func, select

from storage.base.ids import JobId
from storage.catalog.commands import DropDatabase, DropTable
from storage.catalog.rows import TABLES
from storage.tables.rows import MANIFESTS, SNAPSHOTS, STAGES
from storage.tables.writes import CommitMode
from tests.support.lake import PROJECT, WINDOW, Lake
from tests.support.parquet import write

APPEND, CREATE, OVERWRITE = CommitMode.APPEND, CommitMode.CREATE, CommitMode.OVERWRITE
MOMENT = timedelta(seconds=1)


def sweep(lake: Lake) -> int:
    """Sweep until all is clean; how much was removed."""
    total = 0
    while done := lake.tables.sweep():
        total += done
    return total


def counts(lake: Lake) -> dict[str, int]:
    """Rows that are kept, by table."""
    with lake.database.read() as tx:
        return {
            table.name: tx.execute(select(func.count()).select_from(table)).scalar_one()
            for table in (TABLES, SNAPSHOTS, MANIFESTS, STAGES)
        }


def test_a_clean_lake_has_nothing_to_sweep(lake: Lake) -> None:
    table = lake.write(APPEND, lake.make(), {"x": [1]})
    lake.clock.advance(WINDOW * 2)
    sweep(lake)
    assert lake.snapshot(lake.find("m")).rows == 1
    assert len(lake.objects()) == 1
    assert lake.tables.sweep() == 0
    assert lake.find("m") == table


def test_an_open_stage_lives_as_long_as_its_lease(lake: Lake) -> None:
    stage = lake.stage(lake.make().id)
    lake.fill(stage, {"x": [1]})
    lake.clock.advance(timedelta(hours=2))
    assert sweep(lake) == 0
    lake.clock.advance(MOMENT)
    assert sweep(lake) > 0
    assert lake.objects() == []


def test_a_stage_given_up_is_emptied_at_once_and_again(lake: Lake) -> None:
    stage = lake.stage(lake.make().id)
    lake.fill(stage, {"x": [1]})
    with lake.database.transaction() as tx:
        lake.tables.abandon(tx, JobId("stm_1"))
    sweep(lake)
    assert lake.objects() == []
    lake.fill(stage, {"x": [1]})  # by an engine that does not know yet
    sweep(lake)
    assert lake.objects() == []
    lake.clock.advance(timedelta(hours=1) + MOMENT)
    sweep(lake)
    assert counts(lake)["table_stages"] == 0


def test_overwritten_files_stay_for_the_window(lake: Lake) -> None:
    before = lake.write(APPEND, lake.write(APPEND, lake.make(), {"x": [1]}), {"x": [2]})
    lake.clock.advance(MOMENT)
    after = lake.write(OVERWRITE, before, {"x": [3]})
    lake.clock.advance(WINDOW)
    assert sweep(lake) == 2  # only the snapshots before the one that was overwritten
    assert len(lake.objects()) == 3
    assert lake.snapshot(before).rows == 2
    lake.clock.advance(MOMENT)
    sweep(lake)
    assert len(lake.objects()) == 1
    assert lake.snapshot(after).rows == 1
    assert counts(lake) == {
        "catalog_tables": 1,
        "table_snapshots": 1,
        "table_manifests": 1,
        "table_stages": 1,
    }


def test_a_dropped_managed_table_leaves_nothing_after_the_window(lake: Lake) -> None:
    table = lake.write(APPEND, lake.make(), {"x": [1]})
    lake.apply(DropTable(database="d", name="m"))
    lake.clock.advance(WINDOW)
    sweep(lake)
    assert lake.snapshot(table).rows == 1
    lake.clock.advance(MOMENT)
    sweep(lake)
    assert lake.objects() == []
    assert set(counts(lake).values()) == {0}


def test_a_dropped_table_from_before_goes_alone(lake: Lake) -> None:
    """Tables lay side by side then, so what is beside one may be another that lives."""
    dropped, kept = lake.make_former(), lake.make_former("kept")
    lake.write(APPEND, dropped, {"x": [1]})
    kept = lake.write(APPEND, kept, {"x": [2]})
    new = lake.write(APPEND, lake.make("new"), {"x": [3]})
    lake.apply(DropTable(database="d", name="m"))
    lake.clock.advance(WINDOW + MOMENT)
    sweep(lake)
    assert [key.split("/data/")[0] for key in lake.objects()] == [
        f"project-tables/{PROJECT}/{new.id}",
        f"tables/{kept.id}",
    ]
    assert [lake.snapshot(table).rows for table in (kept, new)] == [1, 1]


def test_what_a_replica_of_before_wrote_goes_with_its_table(lake: Lake) -> None:
    table = lake.write(APPEND, lake.make(), {"x": [1]})
    lake.warehouse.put(f"tables/{table.id}/data/stg_1/part-0.parquet", b"rows")
    lake.apply(DropTable(database="d", name="m"))
    lake.clock.advance(WINDOW + MOMENT)
    sweep(lake)
    assert lake.objects() == []


def test_a_table_of_before_moves_when_it_is_made_anew(lake: Lake) -> None:
    lake.write(APPEND, lake.make_former(), {"x": [1]})
    stage = lake.stage(None)
    lake.fill(stage, {"x": [1]})
    made = lake.commit(stage, CREATE, columns=lake.find("m").columns, or_replace=True)
    lake.clock.advance(WINDOW + MOMENT)
    sweep(lake)
    assert [key.startswith(f"project-tables/{PROJECT}/{made.id}/") for key in lake.objects()] == [
        True
    ]
    assert lake.snapshot(lake.find("m")).rows == 1


def test_the_files_of_a_dropped_external_table_stay(lake: Lake) -> None:
    path = write(lake.data / "a.parquet", {"x": [1]})
    lake.register(lake.data)
    lake.apply(DropDatabase(name="d", cascade=True))
    lake.clock.advance(WINDOW + MOMENT)
    sweep(lake)
    assert path.exists()
    assert set(counts(lake).values()) == {0}


def test_refreshed_away_snapshots_go_after_the_window(lake: Lake) -> None:
    write(lake.data / "a.parquet", {"x": [1]})
    first = lake.register(lake.data)
    write(lake.data / "b.parquet", {"x": [1]})
    lake.clock.advance(MOMENT)
    second = lake.refresh(first)
    lake.clock.advance(WINDOW)
    assert sweep(lake) == 0
    assert lake.snapshot(first).rows == 1
    lake.clock.advance(MOMENT)
    assert sweep(lake) == 1
    assert lake.snapshot(second).rows == 2
    assert counts(lake)["table_manifests"] == 1


def test_a_failed_create_leaves_no_orphan(lake: Lake) -> None:
    stage = lake.stage(None)
    lake.fill(stage, {"x": [1]})
    lake.clock.advance(timedelta(hours=4))
    sweep(lake)
    assert lake.objects() == []
    lake.clock.advance(timedelta(hours=4))
    sweep(lake)
    assert set(counts(lake).values()) == {0}
