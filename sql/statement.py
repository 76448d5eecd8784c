"""What ``prepare`` makes of a text: values only, which cross processes and are kept in rows."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from storage.base.ids import SnapshotId, TableId
from storage.catalog.commands import Command
from storage.catalog.definitions import Column, TableFormat
from storage.tables.snapshots import TableFile


class StatementKind(StrEnum):
    """The kinds that are served; every other root of a tree is refused by its name."""

    QUERY = "query"
    CREATE_TABLE_AS = "create_table_as"
    INSERT = "insert"
    INSERT_OVERWRITE = "insert_overwrite"
    CREATE_DATABASE = "create_database"
    DROP_DATABASE = "drop_database"
    CREATE_TABLE = "create_table"
    DROP_TABLE = "drop_table"
    CREATE_VIEW = "create_view"
    DROP_VIEW = "drop_view"
    SHOW = "show"
    DESCRIBE = "describe"
    EXPLAIN = "explain"

    @property
    def computes(self) -> bool:
        """Whether an engine is needed; the rest is answered from the catalog."""
        return self in _COMPUTING

    @property
    def writes(self) -> bool:
        """Whether the catalog or a table is changed."""
        return self not in {
            StatementKind.QUERY,
            StatementKind.SHOW,
            StatementKind.DESCRIBE,
            StatementKind.EXPLAIN,
        }


_COMPUTING = frozenset(
    {
        StatementKind.QUERY,
        StatementKind.CREATE_TABLE_AS,
        StatementKind.INSERT,
        StatementKind.INSERT_OVERWRITE,
    }
)


class ExplainLevel(StrEnum):
    """How much an EXPLAIN shows."""

    SIMPLE = "simple"
    EXTENDED = "extended"
    FORMATTED = "formatted"
    COST = "cost"


class Exactness(StrEnum):
    """How far a number may be from the truth."""

    EXACT = "exact"
    BOUND = "bound"  #: never more than this
    ESTIMATE = "estimate"


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """A number not known exactly: ``low`` <= ``likely`` <= ``high``; high None: no bound."""

    low: int
    likely: int
    high: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class TableUse:
    """What a statement touches of one table; ``bytes`` are counted once per scan (COST.md § 4)."""

    table_id: TableId
    name: str  #: database.table
    snapshot_id: SnapshotId
    scans: int
    columns: tuple[str, ...]
    bytes: int
    files: int
    files_kept: int
    partitions: int | None  #: None for a table without partitions
    partitions_kept: int | None
    row_groups: int | None  #: None for formats without footers
    row_groups_kept: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class CostEstimate:
    """Physical quantities only; what they cost in money is decided above this package."""

    bytes_processed: int
    exactness: Exactness
    rows: Bounds  #: rows of the result
    cu_millis: Bounds  #: milliseconds of one compute unit (1 vCPU + 4 GiB)
    tables: tuple[TableUse, ...]
    scan_hash: str  #: over the sorted (table, snapshot, column, row group) multiset; quote = bill


class FindingLevel(StrEnum):
    """What a guard rule's finding does to the statement."""

    WARN = "warn"
    REFUSE = "refuse"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """A guard rule's word on a statement."""

    rule: str
    level: FindingLevel
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TableName:
    """A qualified name, both parts in lower case."""

    database: str
    name: str

    def __str__(self) -> str:
        return f"{self.database}.{self.name}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Binding:
    """A table as an engine sees it: a temp view of explicit files with an explicit schema.

    ``files`` are those that survived pruning, of the union of the statement's scans of this table;
    none at all means an empty relation of these columns. Partition columns come last in ``columns``
    and take their values from ``TableFile.partition``, never from the engine's own discovery.
    """

    view: str  #: name of the temp view in ``engine_sql``
    table_id: TableId
    snapshot_id: SnapshotId
    format: TableFormat
    columns: tuple[Column, ...]
    partitioned_by: tuple[str, ...]
    options: tuple[tuple[str, str], ...]
    files: tuple[TableFile, ...]


class WriteMode(StrEnum):
    """What becomes of the rows that the target has."""

    CREATE = "create"  #: CTAS
    APPEND = "append"
    OVERWRITE = "overwrite"


@dataclass(frozen=True, slots=True, kw_only=True)
class WriteTarget:
    """Where the rows of ``engine_sql`` go; it already casts and orders them as ``columns`` say.

    For CREATE the ``table_id`` and ``base_snapshot`` are None and ``columns`` may lack types that
    only the engine knows (type ""): the schema of the written files then decides.
    """

    table: TableName
    mode: WriteMode
    table_id: TableId | None
    base_snapshot: SnapshotId | None
    columns: tuple[Column, ...]
    partitioned_by: tuple[str, ...] = ()
    if_not_exists: bool = False
    or_replace: bool = False
    comment: str | None = None


class ShowWhat(StrEnum):
    """The lists that SHOW and DESCRIBE give, all answered from the catalog."""

    DATABASES = "databases"
    TABLES = "tables"
    VIEWS = "views"
    COLUMNS = "columns"
    PARTITIONS = "partitions"
    CREATE_TABLE = "create_table"
    TABLE_PROPERTIES = "table_properties"
    CURRENT_DATABASE = "current_database"
    FUNCTIONS = "functions"
    DESCRIBE_TABLE = "describe_table"
    DESCRIBE_DATABASE = "describe_database"


@dataclass(frozen=True, slots=True, kw_only=True)
class Show:
    """A question to the catalog. ``pattern`` is Spark's LIKE pattern (``*`` and ``|``)."""

    what: ShowWhat
    database: str | None = None
    table: TableName | None = None
    pattern: str | None = None
    extended: bool = False


class Repeatable(StrEnum):
    """Whether a query gives the same rows each time it reads the same files."""

    YES = "yes"
    UNSURE = "unsure"  #: rows that are equal in its order may come in any
    NO = "no"  #: chance, the clock, or a limit without an order


@dataclass(frozen=True, slots=True, kw_only=True)
class PreparedStatement:
    """One statement, understood at one moment of the catalog.

    ``engine_sql``, ``bindings`` and ``cost`` are set for statements that compute and for EXPLAIN
    of such; ``command`` for DDL that only changes the catalog; ``show`` for SHOW and DESCRIBE.
    ``bounded_rows`` is a proven upper bound of the result's rows (LIMIT, ungrouped aggregate), or
    None. ``fingerprint`` is equal for texts that differ only in literals, case and white space.
    """

    kind: StatementKind
    fingerprint: str
    reads: tuple[TableName, ...]  #: tables and views that the text names, for the check of rights
    findings: tuple[Finding, ...] = ()
    cost: CostEstimate | None = None
    engine_sql: str | None = None
    bindings: tuple[Binding, ...] = ()
    column_names: tuple[str, ...] = ()  #: of the result, in order, "" where only the engine knows
    bounded_rows: int | None = None
    target: WriteTarget | None = None
    command: Command | None = None
    show: Show | None = None
    explains: StatementKind | None = None  #: what an EXPLAIN is about
    explain_level: ExplainLevel | None = None
    repeatable: Repeatable = Repeatable.UNSURE  #: told of queries only
