"""Bytes, files, rows and compute of statements over small tables whose chunks are known."""

from __future__ import annotations

from dataclasses import replace

import pyarrow as pa
import pytest

from sql.analysis.bind import bind
from sql.analysis.view import CatalogView, Relation
from sql.cost.estimate import Estimate, estimate
from sql.cost.model import BAND, cu_millis
from sql.scan.scanset import scans
from sql.statement import Exactness, TableName
from sql.syntax.parse import parse
from storage.base.ids import SnapshotId
from storage.catalog.definitions import TableFormat
from tests.support.footers import relation_of

ROWS = pa.table({"k": pa.array(range(8), pa.int32()), "x": pa.array(range(8), pa.int32())})
A = relation_of("a", {(): ROWS}, group_rows=2)
DAYS = relation_of(
    "days",
    {("2026-01-01",): ROWS, ("2026-01-02",): ROWS, (None,): ROWS},
    partitions=[("day", "date")],
)


def as_csv(relation: Relation) -> Relation:
    assert relation.snapshot is not None
    files = tuple(replace(file, rows=None) for file in relation.snapshot.files)
    return Relation(
        definition=replace(relation.definition, format=TableFormat.CSV, name="lines"),
        snapshot=replace(relation.snapshot, groups=None, files=files),
    )


def cost_of(sql: str, *relations: Relation) -> Estimate:
    known = relations or (A, DAYS, as_csv(DAYS))
    view = CatalogView(
        relations={relation.name: relation for relation in known}, databases=("default",)
    )
    bound = bind(parse(sql), view=view, database="default")
    return estimate(bound, scans(bound))


def chunks(relation: Relation, *columns: str, groups: slice = slice(None)) -> int:
    assert relation.snapshot is not None
    assert relation.snapshot.groups is not None
    found = relation.snapshot.groups.columns
    return sum(int(found[name].compressed[groups].sum()) for name in columns)


@pytest.mark.parametrize(
    ("sql", "size"),
    [
        ("SELECT x FROM a", chunks(A, "x")),
        ("SELECT x, k FROM a", chunks(A, "x", "k")),
        ("SELECT count(*) AS n FROM a", 0),
        ("SELECT count(*) AS n FROM a WHERE x < 4", chunks(A, "x", groups=slice(2))),
        ("SELECT x FROM a WHERE k >= 6", chunks(A, "x", "k", groups=slice(3, 4))),
        ("SELECT p.x FROM a p JOIN a q ON p.x = q.x", 2 * chunks(A, "x")),
        ("SELECT x FROM a WHERE k > 99", 0),
        ("SELECT x FROM a WHERE k = 1 AND k = 2 LIMIT 1", chunks(A, "x", "k", groups=slice(0, 0))),
        ("SELECT 1 AS one", 0),
    ],
)
def test_bytes_are_those_of_the_chunks_that_may_be_touched(sql: str, size: int) -> None:
    cost = cost_of(sql).cost
    assert (cost.bytes_processed, cost.exactness) == (size, Exactness.EXACT)
    assert sum(use.bytes for use in cost.tables) == size


def test_files_without_footers_count_whole_even_for_a_count() -> None:
    lines = as_csv(DAYS).snapshot
    assert lines is not None
    cost = cost_of("SELECT count(*) AS n FROM lines WHERE day >= '2026-01-02'").cost
    assert cost.bytes_processed == lines.files[1].size
    assert (cost.tables[0].row_groups, cost.tables[0].row_groups_kept) == (None, None)
    assert cost.rows.high == 1


def test_a_table_use_tells_what_is_kept() -> None:
    found = cost_of(
        "SELECT x FROM days WHERE day = '2026-01-01' UNION ALL SELECT k FROM days WHERE day IS NULL"
    )
    use = found.cost.tables[0]
    assert (use.scans, use.columns) == (2, ("day", "k", "x"))
    assert (use.files, use.files_kept) == (3, 2)
    assert (use.partitions, use.partitions_kept) == (3, 2)
    assert (use.row_groups, use.row_groups_kept) == (3, 2)


def test_kept_files_are_the_union_over_scans_in_order() -> None:
    sql = (
        "SELECT x FROM days WHERE day IS NULL UNION ALL SELECT x FROM days WHERE day < '2026-01-02'"
    )
    assert DAYS.snapshot is not None
    files = cost_of(sql).files[TableName(database="default", name="days")]
    assert files == (DAYS.snapshot.files[0], DAYS.snapshot.files[2])


def test_a_relation_that_nothing_scans_has_no_files_and_no_use() -> None:
    found = cost_of("WITH unused AS (SELECT x FROM a) SELECT x FROM days")
    assert found.files[TableName(database="default", name="a")] == ()
    assert [use.name for use in found.cost.tables] == ["default.days"]


def test_the_scan_hash_follows_what_is_touched() -> None:
    first = cost_of("SELECT x FROM a WHERE k < 2").cost.scan_hash
    assert cost_of("select X from A where K < 1 + 1").cost.scan_hash == first
    assert A.snapshot is not None
    newer = replace(A, snapshot=replace(A.snapshot, snapshot_id=SnapshotId("snp_new")))
    others = {
        cost_of("SELECT x FROM a WHERE k < 4").cost.scan_hash,
        cost_of("SELECT k FROM a WHERE k < 2").cost.scan_hash,
        cost_of("SELECT p.x FROM a p, a q WHERE p.k < 2 AND q.k < 2 AND p.x = q.x").cost.scan_hash,
        cost_of("SELECT x FROM a WHERE k < 2", newer).cost.scan_hash,
        cost_of("SELECT 1 AS one").cost.scan_hash,
    }
    assert first not in others
    assert len(others) == 5


def test_compute_is_a_band_around_the_model() -> None:
    bounds = cost_of("SELECT p.x FROM a p JOIN a q ON p.x = q.x").cost.cu_millis
    assert bounds.likely == cu_millis(scans=2, rows=16, values=16, joins=1, windows=0, distincts=0)
    assert (bounds.low, bounds.high) == (bounds.likely // BAND, bounds.likely * BAND)


def test_a_recursive_statement_is_only_estimated() -> None:
    cost = cost_of(
        "WITH RECURSIVE r (n) AS (SELECT k FROM a UNION ALL SELECT n + 1 FROM r WHERE n < 5)"
        " SELECT n FROM r"
    ).cost
    assert (cost.exactness, cost.rows.high) == (Exactness.ESTIMATE, None)


@pytest.mark.parametrize(
    ("sql", "low", "high"),
    [
        ("SELECT x FROM a", 0, 8),
        ("SELECT x FROM a WHERE k < 4", 0, 4),
        ("SELECT x FROM a LIMIT 3", 0, 3),
        ("SELECT x FROM a LIMIT 30", 0, 8),
        ("SELECT count(*) AS n FROM a", 1, 1),
        ("SELECT count(*) AS n FROM a WHERE 1 = 0", 1, 1),
        ("SELECT sum(x) AS n FROM a HAVING sum(x) > 5", 0, 1),
        ("SELECT k, sum(x) AS n FROM a GROUP BY k", 0, 8),
        ("SELECT k, sum(x) AS n FROM a GROUP BY CUBE (k, x)", 0, None),
        ("SELECT DISTINCT k FROM a", 0, 8),
        ("SELECT p.x FROM a p, a q", 0, 64),
        ("SELECT p.x FROM a p LEFT SEMI JOIN a q ON p.x = q.x", 0, 8),
        ("SELECT p.x FROM a p LEFT JOIN (SELECT max(x) AS m FROM a) q ON p.x = q.m", 0, 8),
        ("SELECT p.x FROM a p FULL JOIN a q ON p.x = q.x", 0, None),
        ("SELECT x FROM a UNION ALL SELECT k FROM a", 0, 16),
        ("SELECT x FROM a UNION SELECT k FROM a", 0, 16),
        ("SELECT x FROM a EXCEPT SELECT k FROM a", 0, 8),
        ("SELECT x FROM a UNION ALL SELECT k FROM a EXCEPT SELECT 1", 0, 16),
        ("SELECT 1 AS one UNION ALL SELECT 2", 2, 2),
        ("SELECT 1 AS one UNION SELECT 1 UNION ALL SELECT 2", 1, 3),
        ("SELECT n FROM VALUES (1), (2) AS t (n)", 0, 2),
        ("SELECT explode(array(k, x)) AS e FROM a", 0, None),
        ("SELECT e FROM a LATERAL VIEW explode(array(k, x)) v AS e", 0, None),
        ("SELECT id FROM range(10)", 0, None),
        ("SELECT k FROM lines", 0, None),
        ("SELECT 1 AS one", 1, 1),
    ],
)
def test_rows_have_a_bound_only_where_it_is_certain(sql: str, low: int, high: int | None) -> None:
    rows = cost_of(sql).cost.rows
    assert (rows.low, rows.high) == (low, high)
    assert rows.low <= rows.likely
    assert rows.high is None or rows.likely <= rows.high


def test_each_level_of_derived_tables_is_walked_once() -> None:
    """Two visits a level would be 2^30 here."""
    inner = "SELECT k, x FROM a"
    for level in range(30):
        inner = f"SELECT k, x FROM ({inner}) d WHERE k > {level - 25}"
    assert cost_of(inner).cost.rows.high == 4
