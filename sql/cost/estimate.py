"""What a statement may touch, to the byte, before it runs: the number that a bill rests on.

Processed bytes are the sum, over the statement's scans, of the compressed sizes of the column
chunks that may hold a row the statement needs, by its own constants, on the snapshot it is pinned
to. For formats without footers they are the sizes of the files whose partition may. The same
function over the same snapshots always gives the same number; engines read no more column data.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from sqlglot import exp

from sql.analysis.bind import BoundStatement
from sql.analysis.view import Relation
from sql.cost.model import BAND, cu_millis
from sql.cost.rows import result_rows
from sql.errors import StatementTooDeepError
from sql.scan.pruning import Mask, may_hold
from sql.scan.scanset import Scan, recursive
from sql.scan.units import Units, units_of
from sql.statement import Bounds, CostEstimate, Exactness, TableName, TableUse
from storage.tables.snapshots import TableFile, TableSnapshot


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """The cost, and the files of each table that any scan may need, in the snapshot's order.

    ``files`` has every relation of the statement, also those that no scan reads (no files).
    """

    cost: CostEstimate
    files: Mapping[TableName, tuple[TableFile, ...]]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Read:
    """One scan over the units of its table."""

    scan: Scan
    mask: Mask
    bytes: int
    rows: int | None


def estimate(bound: BoundStatement, scans: Sequence[Scan]) -> Estimate:
    """The cost of a bound statement that makes ``scans``.

    Raises ``StatementTooDeepError``.
    """
    by_table: dict[TableName, list[Scan]] = {name: [] for name in bound.relations}
    for scan in scans:
        by_table[scan.table].append(scan)
    uses, files, digests = [], {}, []
    reads: list[_Read] = []
    most: dict[TableName, int | None] = {}
    for name, group in by_table.items():
        relation = bound.relations[name]
        if not group or relation.snapshot is None:
            files[name] = ()
            continue
        units = units_of(relation.definition, relation.snapshot)
        found = [_read(scan, units, relation.snapshot) for scan in group]
        reads += found
        kept = np.logical_or.reduce([read.mask for read in found])
        uses.append(_use(relation, relation.snapshot, units, found, kept))
        places = np.unique(units.file[kept])
        files[name] = tuple(relation.snapshot.files[place] for place in places)
        rows = [read.rows for read in found]
        most[name] = None if None in rows else max(row for row in rows if row is not None)
        digests += [_digest(relation.snapshot, read) for read in found]
    return Estimate(
        cost=CostEstimate(
            bytes_processed=sum(read.bytes for read in reads),
            exactness=_exactness(bound),
            rows=_rows(bound, most),
            cu_millis=_compute(bound, reads),
            tables=tuple(uses),
            scan_hash=hashlib.sha256("".join(sorted(digests)).encode()).hexdigest(),
        ),
        files=files,
    )


def _read(scan: Scan, units: Units, snapshot: TableSnapshot) -> _Read:
    mask = may_hold(scan.condition, units)
    if snapshot.groups is None:
        kept = np.flatnonzero(mask)
        known = [snapshot.files[place].rows for place in kept]
        return _Read(
            scan=scan,
            mask=mask,
            bytes=sum(snapshot.files[place].size for place in kept),
            rows=None if None in known else sum(count for count in known if count is not None),
        )
    columns = (snapshot.groups.columns.get(name) for name in scan.columns)
    size = sum(int(column.compressed[mask].sum()) for column in columns if column is not None)
    return _Read(scan=scan, mask=mask, bytes=size, rows=int(units.rows[mask].sum()))


def _use(
    relation: Relation, snapshot: TableSnapshot, units: Units, reads: Sequence[_Read], kept: Mask
) -> TableUse:
    files = np.unique(units.file[kept])
    partitioned = bool(relation.definition.partitioned_by)
    chunked = snapshot.groups is not None
    return TableUse(
        table_id=relation.definition.id,
        name=str(relation.name),
        snapshot_id=snapshot.snapshot_id,
        scans=len(reads),
        columns=tuple(sorted({column for read in reads for column in read.scan.columns})),
        bytes=sum(read.bytes for read in reads),
        files=len(snapshot.files),
        files_kept=len(files),
        partitions=_partitions(snapshot.files) if partitioned else None,
        partitions_kept=_partitions([snapshot.files[place] for place in files])
        if partitioned
        else None,
        row_groups=units.count if chunked else None,
        row_groups_kept=int(kept.sum()) if chunked else None,
    )


def _partitions(files: Sequence[TableFile]) -> int:
    return len({file.partition for file in files})


def _digest(snapshot: TableSnapshot, read: _Read) -> str:
    """A name for what a scan touches: the same for the same chunks of the same snapshot."""
    made = hashlib.sha256()
    for part in (snapshot.table_id, snapshot.snapshot_id, *read.scan.columns):
        made.update(part.encode() + b"\0")
    made.update(np.packbits(read.mask).tobytes())
    return made.hexdigest()


def _exactness(bound: BoundStatement) -> Exactness:
    """A recursive step is counted once, however often it runs; all else is exact by definition."""
    tree = bound.scan_tree
    return Exactness.ESTIMATE if tree is not None and recursive(tree) else Exactness.EXACT


def _rows(bound: BoundStatement, most: Mapping[TableName, int | None]) -> Bounds:
    if bound.scan_tree is None:
        return Bounds(low=0, likely=0, high=0)
    try:
        rows = result_rows(bound.scan_tree, lambda name: most.get(name, 0))
    except RecursionError as error:
        raise StatementTooDeepError("the statement nests too deep to be estimated") from error
    if recursive(bound.scan_tree):
        return Bounds(low=0, likely=rows.likely, high=None)
    return rows


def _compute(bound: BoundStatement, reads: Sequence[_Read]) -> Bounds:
    rows = [read.rows or 0 for read in reads]
    joins = windows = distincts = 0
    for node in bound.scan_tree.walk() if bound.scan_tree is not None else ():
        joins += isinstance(node, exp.Join)
        windows += isinstance(node, exp.Window)
        distincts += isinstance(node, exp.Distinct)
    likely = cu_millis(
        scans=len(reads),
        rows=sum(rows),
        values=sum(count * len(read.scan.columns) for count, read in zip(rows, reads, strict=True)),
        joins=joins,
        windows=windows,
        distincts=distincts,
    )
    return Bounds(low=likely // BAND, likely=likely, high=likely * BAND)
