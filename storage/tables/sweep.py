"""Removing what nobody can see any more: each step may be killed and is then done again."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import delete, select, update

from storage.catalog.rows import TABLES
from storage.meta.database import Database
from storage.objects.api import ObjectStore
from storage.tables.rows import MANIFESTS, SNAPSHOTS, STAGES

_BATCH = 200  # rows of each kind a call
_ZOMBIE = timedelta(hours=1)  # how long a writer that was given up may still add files


def sweep(database: Database, store: ObjectStore, *, now: datetime, window: timedelta) -> int:
    """Do a bounded part of the work; gives how many things were removed, 0 when all is clean.

    Removed are folders of stages that expired or were given up, and, ``window`` after they were
    replaced or dropped, old snapshots and the files of overwrites and dropped managed tables.
    Files of external tables are never touched.
    """
    return (
        _expire_stages(database, now)
        + _sweep_stages(database, store, now, window)
        + _sweep_snapshots(database, now - window)
        + _sweep_tables(database, store, now - window)
    )


def _expire_stages(database: Database, now: datetime) -> int:
    with database.transaction() as tx:
        expired = tx.execute(
            update(STAGES)
            .where(STAGES.c.state == "open", STAGES.c.expires_at < now)
            .values(state="abandoned", changed_at=now)
            .returning(STAGES.c.id)
        ).all()
    return len(expired)


def _sweep_stages(database: Database, store: ObjectStore, now: datetime, window: timedelta) -> int:
    """Folders first, rows after them: a row that is left is found again.

    The row of an abandoned stage stays for a while, and its folder is emptied again and again,
    because its engine may not know yet that it is dead.
    """
    abandoned = STAGES.c.state == "abandoned"
    retired = (STAGES.c.state == "retired") & (STAGES.c.changed_at < now - window)
    with database.read() as tx:
        found = tx.execute(
            select(STAGES.c.id, STAGES.c.prefix, STAGES.c.state, STAGES.c.changed_at)
            .where(abandoned | retired)
            .order_by(STAGES.c.changed_at)
            .limit(_BATCH)
        ).all()
    done = sum(_empty(store, row.prefix) for row in found)
    over = [row.id for row in found if row.state == "retired" or row.changed_at < now - _ZOMBIE]
    if over:
        with database.transaction() as tx:
            tx.execute(delete(STAGES).where(STAGES.c.id.in_(over)))
    return done + len(over)


def _sweep_snapshots(database: Database, before: datetime) -> int:
    """A manifest goes with the last snapshot that has it, as both ended at the same moment."""
    old = SNAPSHOTS.c.superseded_at < before
    with database.read() as tx:
        if tx.execute(select(SNAPSHOTS.c.id).where(old).limit(1)).first() is None:
            return 0
    with database.transaction() as tx:
        tx.execute(delete(MANIFESTS).where(MANIFESTS.c.removed_at < before))
        gone = tx.execute(delete(SNAPSHOTS).where(old).returning(SNAPSHOTS.c.id)).all()
    return len(gone)


def _sweep_tables(database: Database, store: ObjectStore, before: datetime) -> int:
    with database.read() as tx:
        found = tx.execute(
            select(TABLES.c.id, TABLES.c.kind, TABLES.c.location)
            .where(TABLES.c.dropped_at < before)
            .order_by(TABLES.c.dropped_at)
            .limit(_BATCH)
        ).all()
    for row in found:
        if row.kind == "managed":
            _empty(store, row.location)
            _empty(store, f"tables/{row.id}/")  # where replicas of the version before write
        with database.transaction() as tx:
            for table in (MANIFESTS, SNAPSHOTS, STAGES):
                tx.execute(delete(table).where(table.c.table_id == row.id))
            tx.execute(delete(TABLES).where(TABLES.c.id == row.id))
    return len(found)


def _empty(store: ObjectStore, prefix: str) -> int:
    """Delete every object below ``prefix``; how many there were."""
    keys = [info.key for info in store.list(prefix)]
    for key in keys:
        store.delete(key)
    return len(keys)
