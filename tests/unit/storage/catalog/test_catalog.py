"""The catalog on both databases."""

from __future__ import annotations

from datetime import timedelta

import pytest

from storage.base.clock import ManualClock
from storage.base.errors import ServiceError
from storage.base.ids import ProjectId, SnapshotId, TableId
from storage.catalog.catalog import Catalog
from storage.catalog.commands import (
    Command,
    CreateDatabase,
    CreateTable,
    CreateView,
    DropDatabase,
    DropTable,
)
from storage.catalog.definitions import Column, DatabaseDef, TableDef, TableFormat, TableKind
from storage.catalog.discovered import Discovered
from storage.catalog.errors import (
    DatabaseExistsError,
    DatabaseMissingError,
    DatabaseNotEmptyError,
    DefaultDatabaseError,
    InvalidDefinitionError,
    InvalidNameError,
    TableChangedError,
    TableExistsError,
    TableMissingError,
    WrongTableKindError,
)
from storage.catalog.names import DEFAULT_DATABASE
from storage.meta.database import Database

MINE, OTHER = ProjectId("prj_mine"), ProjectId("prj_other")
COLUMNS = (Column(name="Id", type="BIGINT"), Column(name="note", type="string", comment="ä"))
FOUND = Discovered(
    location="file:///data/orders",
    columns=(*COLUMNS, Column(name="day", type="date")),
    partitioned_by=("day",),
    options=(("header", "true"),),
    snapshot_id=SnapshotId("snp_1"),
)


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def catalog(clock: ManualClock, database: Database) -> Catalog:
    """A catalog in which the project has the database ``sales``."""
    made = Catalog(clock)
    with database.transaction() as tx:
        made.apply(tx, MINE, CreateDatabase(name="Sales", comment="all of it"))
    return made


def apply(
    database: Database,
    catalog: Catalog,
    command: Command,
    *,
    project: ProjectId = MINE,
    discovered: Discovered | None = None,
) -> TableDef | DatabaseDef | None:
    with database.transaction() as tx:
        return catalog.apply(tx, project, command, discovered=discovered)


def managed(
    name: str = "orders", *, if_not_exists: bool = False, or_replace: bool = False
) -> CreateTable:
    return CreateTable(
        database="sales",
        name=name,
        columns=COLUMNS,
        if_not_exists=if_not_exists,
        or_replace=or_replace,
    )


def find(database: Database, catalog: Catalog, name: str = "orders") -> TableDef | None:
    with database.read() as tx:
        return catalog.table(tx, MINE, "SALES", name)


def test_a_database_is_found_in_any_case(database: Database, catalog: Catalog) -> None:
    with database.read() as tx:
        found = catalog.database(tx, MINE, "SALES")
        assert found is not None
        assert (found.name, found.comment) == ("sales", "all of it")
        assert catalog.databases(tx, MINE) == (found,)


def test_a_database_is_created_once(database: Database, catalog: Catalog) -> None:
    with pytest.raises(DatabaseExistsError):
        apply(database, catalog, CreateDatabase(name="sales"))
    again = apply(database, catalog, CreateDatabase(name="SALES", if_not_exists=True))
    assert isinstance(again, DatabaseDef)
    assert again.comment == "all of it"


def test_projects_do_not_see_each_other(database: Database, catalog: Catalog) -> None:
    apply(database, catalog, managed())
    with database.read() as tx:
        assert catalog.databases(tx, OTHER) == ()
        assert catalog.table(tx, OTHER, "sales", "orders") is None
        with pytest.raises(DatabaseMissingError):
            catalog.tables(tx, OTHER, "sales")
    apply(database, catalog, CreateDatabase(name="sales"), project=OTHER)
    apply(database, catalog, managed(), project=OTHER)
    apply(database, catalog, DropTable(database="sales", name="orders"), project=OTHER)
    assert find(database, catalog) is not None


def test_a_managed_table_comes_back_as_it_was_made(database: Database, catalog: Catalog) -> None:
    made = apply(database, catalog, managed("Orders"))
    assert isinstance(made, TableDef)
    assert find(database, catalog, "ORDERS") == made
    assert (made.kind, made.version, made.location) == (
        TableKind.MANAGED,
        1,
        f"project-tables/{MINE}/{made.id}/",
    )
    assert made.columns == (
        Column(name="Id", type="bigint"),
        Column(name="note", type="string", comment="ä"),
    )


def test_an_external_table_is_as_it_was_discovered(database: Database, catalog: Catalog) -> None:
    command = CreateTable(
        database="sales", name="orders", location="/data/orders", format=TableFormat.CSV
    )
    made = apply(database, catalog, command, discovered=FOUND)
    assert isinstance(made, TableDef)
    assert find(database, catalog) == made
    assert made.kind is TableKind.EXTERNAL
    assert (made.location, made.partitioned_by) == (FOUND.location, ("day",))
    assert (made.options, made.snapshot_id) == (FOUND.options, FOUND.snapshot_id)


def test_a_location_that_was_not_looked_at_is_a_mistake(
    database: Database, catalog: Catalog
) -> None:
    with pytest.raises(ValueError, match="discovered"):
        apply(database, catalog, CreateTable(database="sales", name="x", location="/d"))


def test_a_view_comes_back_as_it_was_made(database: Database, catalog: Catalog) -> None:
    view = CreateView(database="sales", name="v", columns=COLUMNS[:1], sql="SELECT 1 AS Id")
    made = apply(database, catalog, view)
    assert isinstance(made, TableDef)
    assert find(database, catalog, "v") == made
    assert (made.kind, made.view_sql, made.view_database) == (
        TableKind.VIEW,
        "SELECT 1 AS Id",
        "sales",
    )


def test_a_name_is_taken_once(database: Database, catalog: Catalog) -> None:
    made = apply(database, catalog, managed())
    with pytest.raises(TableExistsError):
        apply(database, catalog, managed())
    assert apply(database, catalog, managed(if_not_exists=True)) == made
    with pytest.raises(WrongTableKindError):
        apply(
            database,
            catalog,
            CreateView(database="sales", name="orders", columns=COLUMNS, sql="", or_replace=True),
        )


def test_or_replace_is_a_new_table(database: Database, catalog: Catalog) -> None:
    first = apply(database, catalog, managed())
    second = apply(database, catalog, managed(or_replace=True))
    assert isinstance(first, TableDef)
    assert isinstance(second, TableDef)
    assert first.id != second.id
    assert find(database, catalog) == second
    with database.read() as tx:
        assert catalog.table_by_id(tx, first.id) is None
        assert catalog.table_by_id(tx, second.id) == second


def test_a_dropped_table_is_gone_and_its_name_free(database: Database, catalog: Catalog) -> None:
    drop = DropTable(database="sales", name="ORDERS")
    for _ in range(2):
        apply(database, catalog, managed())
        assert apply(database, catalog, drop) is None
    assert find(database, catalog) is None
    with pytest.raises(TableMissingError):
        apply(database, catalog, drop)
    apply(database, catalog, DropTable(database="sales", name="orders", if_exists=True))


def test_drop_does_not_take_the_other_kind(database: Database, catalog: Catalog) -> None:
    apply(database, catalog, managed())
    with pytest.raises(WrongTableKindError):
        apply(database, catalog, DropTable(database="sales", name="orders", view=True))


def test_a_database_with_tables_needs_cascade(database: Database, catalog: Catalog) -> None:
    apply(database, catalog, managed())
    with pytest.raises(DatabaseNotEmptyError):
        apply(database, catalog, DropDatabase(name="sales"))
    apply(database, catalog, DropDatabase(name="SALES", cascade=True))
    assert find(database, catalog) is None
    with pytest.raises(DatabaseMissingError):
        apply(database, catalog, DropDatabase(name="sales"))
    apply(database, catalog, DropDatabase(name="sales", if_exists=True))


@pytest.mark.parametrize("name", ["default", "DEFAULT"])
def test_the_default_database_is_never_dropped(
    database: Database, catalog: Catalog, name: str
) -> None:
    apply(database, catalog, CreateDatabase(name=DEFAULT_DATABASE))
    for cascade in (False, True):
        with pytest.raises(DefaultDatabaseError, match="names without a database"):
            apply(database, catalog, DropDatabase(name=name, if_exists=True, cascade=cascade))
    with database.read() as tx:
        assert catalog.database(tx, MINE, DEFAULT_DATABASE) is not None


def test_tables_are_listed_by_name(database: Database, catalog: Catalog) -> None:
    for name in ("b", "c", "a"):
        apply(database, catalog, managed(name))
    with database.read() as tx:
        assert [one.name for one in catalog.tables(tx, MINE, "SALES")] == ["a", "b", "c"]


def test_mistyped_names_get_suggestions(database: Database, catalog: Catalog) -> None:
    apply(database, catalog, managed())
    with database.read() as tx:
        with pytest.raises(TableMissingError) as table:
            catalog.require_table(tx, MINE, "sales", "ordrs")
        with pytest.raises(DatabaseMissingError) as base:
            catalog.require_table(tx, MINE, "sale", "orders")
        assert catalog.similar(tx, MINE, "sales", "ordrs") == ("orders",)
    assert table.value.hint == "did you mean 'sales.orders'?"
    assert base.value.hint == "did you mean 'sales'?"


@pytest.mark.parametrize(
    ("command", "error"),
    [
        (CreateDatabase(name="a-b"), InvalidNameError),
        (CreateTable(database="nope", name="t", columns=COLUMNS), DatabaseMissingError),
        (CreateTable(database="sales", name="t.u", columns=COLUMNS), InvalidNameError),
        (CreateTable(database="sales", name="t"), InvalidDefinitionError),
        (
            CreateTable(database="sales", name="t", columns=COLUMNS, partitioned_by=("id",)),
            InvalidDefinitionError,
        ),
        (
            CreateTable(database="sales", name="t", columns=COLUMNS, format=TableFormat.CSV),
            InvalidDefinitionError,
        ),
        (CreateView(database="sales", name="v", columns=(), sql="x"), InvalidDefinitionError),
    ],
)
def test_definitions_that_cannot_be_are_refused(
    database: Database, catalog: Catalog, command: Command, error: type[ServiceError]
) -> None:
    with pytest.raises(error):
        apply(database, catalog, command)


def test_a_snapshot_is_set_on_the_stored_version_only(database: Database, catalog: Catalog) -> None:
    made = apply(database, catalog, managed())
    assert isinstance(made, TableDef)
    with database.transaction() as tx:
        after = catalog.set_snapshot(tx, made, SnapshotId("snp_2"))
    assert (after.version, after.snapshot_id) == (2, "snp_2")
    assert find(database, catalog) == after
    with pytest.raises(TableChangedError), database.transaction() as tx:
        catalog.set_snapshot(tx, made, SnapshotId("snp_3"))
    assert find(database, catalog) == after


def test_a_table_of_no_id_cannot_be_locked(database: Database, catalog: Catalog) -> None:
    made = apply(database, catalog, managed())
    assert isinstance(made, TableDef)
    with database.transaction() as tx:
        assert catalog.lock_table(tx, made.id) == made
        assert catalog.lock_table(tx, TableId("tbl_none")) is None


def test_moments_are_those_that_rows_keep(
    database: Database, catalog: Catalog, clock: ManualClock
) -> None:
    clock.advance(timedelta(microseconds=123_456))
    made = apply(database, catalog, managed())
    assert isinstance(made, TableDef)
    assert made.created_at.microsecond == 123_000
    assert find(database, catalog) == made


def test_a_change_rolled_back_is_not_remembered(database: Database, catalog: Catalog) -> None:
    made = apply(database, catalog, managed())
    assert isinstance(made, TableDef)
    with pytest.raises(KeyError), database.transaction() as tx:  # noqa: PT012
        catalog.set_snapshot(tx, made, SnapshotId("snp_2"))
        assert catalog.require_table(tx, MINE, "sales", "orders").snapshot_id == "snp_2"
        raise KeyError
    assert find(database, catalog) == made
    with database.transaction() as tx:
        after = catalog.set_snapshot(tx, made, SnapshotId("snp_3"))
    assert find(database, catalog) == after


def test_another_process_sees_changes_of_what_it_has_read(
    database: Database, catalog: Catalog, clock: ManualClock
) -> None:
    made = apply(database, catalog, managed())
    assert isinstance(made, TableDef)
    other = Catalog(clock)
    assert find(database, other) == made
    with database.transaction() as tx:
        after = catalog.set_snapshot(tx, made, SnapshotId("snp_2"))
    assert find(database, other) == after
    apply(database, catalog, DropTable(database="sales", name="orders"))
    assert find(database, other) is None
