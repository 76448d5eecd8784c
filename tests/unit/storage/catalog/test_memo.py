from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

from storage.base.ids import ProjectId, SnapshotId, TableId
from storage.catalog.definitions import TableDef, TableKind
from storage.catalog.memo import Memo

TABLE = TableDef(
    id=TableId("a"),
    project_id=ProjectId("p"),
    database="d",
    name="t",
    kind=TableKind.MANAGED,
    columns=(),
    version=1,
    snapshot_id=SnapshotId("s"),
    created_at=datetime(2026, 1, 1, tzinfo=UTC),
)


def test_only_the_same_version_and_snapshot_are_found() -> None:
    memo = Memo()
    memo.put(TABLE)
    assert memo.get(("a", 1, "s")) is TABLE
    assert memo.get(("a", 2, "s")) is None
    assert memo.get(("a", 1, "other")) is None


def test_the_longest_unused_leaves_first() -> None:
    memo = Memo(limit=2)
    for name in "ab":
        memo.put(replace(TABLE, id=TableId(name)))
    memo.get(("a", 1, "s"))
    memo.put(replace(TABLE, id=TableId("c")))
    assert [name for name in "abc" if memo.get((name, 1, "s"))] == ["a", "c"]
