from __future__ import annotations

import numpy as np

from storage.base.ids import SnapshotId, TableId
from storage.tables.cache import SnapshotCache
from storage.tables.snapshots import ColumnStats, RowGroups, TableFile, TableSnapshot


def snapshot(name: str, *, files: int = 0, groups: int = 0) -> TableSnapshot:
    numbers = np.zeros(groups, dtype=np.int64)
    texts = np.full(groups, "x", dtype=object)
    stats = ColumnStats(
        compressed=numbers, nulls=numbers, bounded=numbers > 0, lower=texts, upper=texts
    )
    return TableSnapshot(
        table_id=TableId("t"),
        snapshot_id=SnapshotId(name),
        files=tuple(TableFile(uri="u", size=1, rows=1, etag="e") for _ in range(files)),
        groups=RowGroups(file=numbers.astype(np.int32), rows=numbers, columns={"c": stats}),
    )


def kept(cache: SnapshotCache, names: str) -> str:
    return "".join(name for name in names if cache.get(SnapshotId(name)))


def test_what_was_put_is_given_back_itself() -> None:
    cache = SnapshotCache(10_000)
    one = snapshot("a")
    cache.put(one)
    assert cache.get(SnapshotId("a")) is one
    assert cache.get(SnapshotId("b")) is None


def test_the_longest_unused_leaves_first() -> None:
    cache = SnapshotCache(3500)
    for name in "abc":
        cache.put(snapshot(name))
    assert kept(cache, "a") == "a"
    cache.put(snapshot("d"))
    assert kept(cache, "bacd") == "acd"


def test_putting_twice_counts_once() -> None:
    cache = SnapshotCache(3500)
    for name in "aaaabbbbcccc":
        cache.put(snapshot(name))
    assert kept(cache, "abc") == "abc"


def test_size_counts_and_the_too_large_is_not_kept() -> None:
    cache = SnapshotCache(100_000)
    cache.put(snapshot("a"))
    cache.put(snapshot("b", files=200))
    cache.put(snapshot("c", groups=1000))
    assert kept(cache, "abc") == "a"
