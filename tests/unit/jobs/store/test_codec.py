"""Values in rows come back equal."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from jobs.lifecycle.spec import EngineName, StatementSpec
from jobs.store.codec import from_json, pack, to_json, unpack
from jobs.usage import Quote
from sql.statement import (
    Binding,
    Bounds,
    CostEstimate,
    Exactness,
    Finding,
    FindingLevel,
    PreparedStatement,
    Show,
    ShowWhat,
    StatementKind,
    TableName,
    TableUse,
    WriteMode,
    WriteTarget,
)
from storage.base.ids import SnapshotId, TableId
from storage.catalog.commands import (
    Command,
    CreateDatabase,
    CreateTable,
    CreateView,
    DropDatabase,
    DropTable,
)
from storage.catalog.definitions import Column, TableFormat
from storage.tables.snapshots import TableFile
from tests.support.jobs import NOW, make_spec

NAME = TableName(database="sales", name="orders")
COLUMNS = (Column(name="id", type="bigint", nullable=False), Column(name="day", type="date"))
USE = TableUse(
    table_id=TableId("tbl_1"),
    name="sales.orders",
    snapshot_id=SnapshotId("snp_1"),
    scans=1,
    columns=("id",),
    bytes=10,
    files=2,
    files_kept=1,
    partitions=2,
    partitions_kept=1,
    row_groups=None,
    row_groups_kept=None,
)
QUERY = PreparedStatement(
    kind=StatementKind.INSERT,
    fingerprint="f",
    reads=(NAME,),
    findings=(Finding(rule="cross_join", level=FindingLevel.WARN, message="a and ü"),),
    cost=CostEstimate(
        bytes_processed=2**62,
        exactness=Exactness.BOUND,
        rows=Bounds(low=0, likely=1, high=None),
        cu_millis=Bounds(low=1, likely=2, high=3),
        tables=(USE,),
        scan_hash="h",
    ),
    engine_sql="SELECT 'ü\\n'",
    bindings=(
        Binding(
            view="v",
            table_id=TableId("tbl_1"),
            snapshot_id=SnapshotId("snp_1"),
            format=TableFormat.CSV,
            columns=COLUMNS,
            partitioned_by=("day",),
            options=(("header", "true"),),
            files=(TableFile(uri="file:///a", size=1, rows=None, etag="e", partition=(None, "x")),),
        ),
    ),
    column_names=("", "b"),
    bounded_rows=1,
    target=WriteTarget(
        table=NAME,
        mode=WriteMode.OVERWRITE,
        table_id=TableId("tbl_2"),
        base_snapshot=None,
        columns=COLUMNS,
    ),
    show=Show(what=ShowWhat.COLUMNS, table=NAME),
)


def test_a_plan_comes_back_equal() -> None:
    assert unpack(PreparedStatement, pack(QUERY)) == QUERY


@pytest.mark.parametrize(
    "command",
    [
        CreateDatabase(name="a", comment="b"),
        DropDatabase(name="a", cascade=True),
        CreateTable(database="a", name="b", columns=COLUMNS, options=(("sep", ";"),)),
        CreateView(database="a", name="b", columns=COLUMNS, sql="SELECT 1"),
        DropTable(database="a", name="b", view=True),
    ],
)
def test_each_command_comes_back_as_its_own_kind(command: Command) -> None:
    plan = PreparedStatement(
        kind=StatementKind.CREATE_TABLE, fingerprint="", reads=(), command=command
    )
    assert unpack(PreparedStatement, pack(plan)) == plan


def test_a_spec_keeps_spans_and_labels() -> None:
    spec = make_spec(labels={"team": "a"}, timeout=timedelta(milliseconds=1500), engine=None)
    assert from_json(StatementSpec, to_json(spec)) == spec
    named = make_spec(engine=EngineName.SPARK)
    assert from_json(StatementSpec, to_json(named)).engine is EngineName.SPARK


def test_a_quote_keeps_its_moment() -> None:
    quote = Quote(
        amount=265_000,
        currency="USD",
        price_class="standard",
        priced_at=datetime(2026, 1, 1, 12, 30, 0, 123000, tzinfo=UTC),
        quantities={"scan.bytes": 58_412_345},
    )
    assert from_json(Quote, to_json(quote)) == quote


@dataclass(frozen=True, kw_only=True)
class Before:
    name: str


@dataclass(frozen=True, kw_only=True)
class After:
    name: str
    added: int = 7


def test_a_field_that_was_added_since_takes_its_default() -> None:
    assert from_json(After, to_json(Before(name="x"))) == After(name="x")
    assert from_json(Before, to_json(After(name="x", added=8))) == Before(name="x")


def test_what_has_no_form_is_refused() -> None:
    with pytest.raises(TypeError):
        to_json(Decimal(1))
    with pytest.raises(TypeError):
        to_json(NOW.tzinfo)
