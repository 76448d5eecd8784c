"""Queues in rows: created, changed by compare-and-set, deleted when nothing is in them."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

from sqlalchemy import bindparam, delete, insert, select, text, tuple_, update
from sqlalchemy.exc import IntegrityError

from jobs.lifecycle.spec import EngineName, JobKind
from jobs.queues.definitions import (
    CONF_ALLOWED,
    DEFAULT_QUEUE,
    QueueChangedError,
    QueueDef,
    QueueExistsError,
    QueueInUseError,
    QueueMissingError,
    QueueState,
    validated,
)
from jobs.queues.demand import Place
from jobs.queues.pods import QueuePods, pods_of
from jobs.store.rows import RUNS, WAITS, jobs, queues
from storage.base.ids import ProjectId
from storage.meta.database import Tx
from storage.meta.prepared import Prepared

_MILLISECOND = timedelta(milliseconds=1)
_ALL_KINDS, _ALL_ENGINES = frozenset(JobKind), frozenset(EngineName)


def create(tx: Tx, queue: QueueDef) -> QueueDef:
    """Keep a new queue. Raises ``QueueInvalidError`` and ``QueueExistsError``."""
    made = replace(validated(queue), version=1)
    taken = QueueExistsError(f"queue {queue.name} exists", queue=queue.name)
    if _find(tx, queue.project_id, queue.name) is not None:
        raise taken
    try:
        tx.execute(insert(queues), _values(made))
    except IntegrityError as error:  # another replica was first
        raise taken from error
    return made


def change(tx: Tx, queue: QueueDef) -> QueueDef:
    """Replace the definition at ``queue.version``; raises ``QueueChangedError`` if it is past."""
    after = replace(validated(queue), version=queue.version + 1)
    get(tx, queue.project_id, queue.name)
    written = tx.execute(
        update(queues)
        .where(
            queues.c.project_id == queue.project_id,
            queues.c.name == queue.name,
            queues.c.version == queue.version,
        )
        .values(_values(after))
        .returning(queues.c.name)
    ).first()
    if written is None:
        raise QueueChangedError(
            f"queue {queue.name} was changed meanwhile", hint="read it again", queue=queue.name
        )
    return after


def remove(tx: Tx, project_id: ProjectId, name: str) -> None:
    """Raises ``QueueMissingError``; ``QueueInUseError`` for the default one and while in use."""
    get(tx, project_id, name)
    if name == DEFAULT_QUEUE:
        raise QueueInUseError("the default queue cannot be deleted", queue=name)
    here = jobs.c.project_id == project_id, jobs.c.queue == name
    if any(
        tx.execute(select(jobs.c.id).where(*here, text(condition)).limit(1)).first()
        for condition in (WAITS, RUNS)
    ):
        raise QueueInUseError(
            f"queue {name} has statements that wait or run", hint="cancel them first", queue=name
        )
    tx.execute(delete(queues).where(queues.c.project_id == project_id, queues.c.name == name))


def get(tx: Tx, project_id: ProjectId, name: str) -> QueueDef:
    """One queue. Raises ``QueueMissingError`` with near names."""
    found = _find(tx, project_id, name)
    if found is None:
        names = [queue.name for queue in every(tx, project_id)]
        near = difflib.get_close_matches(name, names, n=3)
        hint = f"did you mean {' or '.join(near)}?" if near else f"there are: {', '.join(names)}"
        raise QueueMissingError(f"there is no queue {name!r}", hint=hint, queue=name)
    return found


def every(tx: Tx, project_id: ProjectId) -> tuple[QueueDef, ...]:
    """All queues of the project, by name."""
    rows = tx.execute(
        select(queues).where(queues.c.project_id == project_id).order_by(queues.c.name)
    )
    return tuple(_queue_of(row) for row in rows)


def some(tx: Tx, wanted: Collection[Place]) -> Mapping[Place, QueueDef]:
    """These queues, as far as they exist."""
    if not wanted:
        return {}
    rows = tx.execute(_SOME, {"keys": list(wanted)})
    return {Place(row.project_id, row.name): _queue_of(row) for row in rows}


def warm(tx: Tx) -> tuple[QueueDef, ...]:
    """The queues of all projects that keep an engine."""
    return tuple(_queue_of(row) for row in tx.execute(select(queues).where(queues.c.min_cu > 0)))


def _find(tx: Tx, project_id: ProjectId, name: str) -> QueueDef | None:
    row = _SELECT.first(tx, {"project": project_id, "queue": name})
    return None if row is None else _queue_of(row)


def _queue_of(row: Any) -> QueueDef:
    return QueueDef(
        project_id=row.project_id,
        name=row.name,
        default_engine=EngineName(row.default_engine),
        max_running=row.max_running,
        max_waiting=row.max_waiting,
        max_cu=row.max_cu,
        timeout=timedelta(milliseconds=row.timeout_ms),
        guard_levels=row.guard_levels,
        max_bytes=row.max_bytes,
        max_cost=row.max_cost,
        price_class=row.price_class,
        version=row.version,
        state=QueueState(row.state),
        kinds=_ALL_KINDS if row.kinds is None else frozenset(map(JobKind, row.kinds)),
        engines=_ALL_ENGINES if row.engines is None else frozenset(map(EngineName, row.engines)),
        conf_allowed=CONF_ALLOWED if row.conf_allowed is None else tuple(row.conf_allowed),
        min_cu=row.min_cu,
        max_running_per_user=row.max_running_per_user,
        min_priority=row.min_priority,
        max_priority=row.max_priority,
        default_priority=row.default_priority,
        max_timeout=None if row.max_timeout_ms is None else row.max_timeout_ms * _MILLISECOND,
        overcommit=row.overcommit,
        weight=row.weight,
        monthly_budget=row.monthly_budget,
        user_weights=row.user_weights or {},
        pods=pods_of(row.pods),
    )


def _values(queue: QueueDef) -> Mapping[str, Any]:
    return {
        "project_id": queue.project_id,
        "name": queue.name,
        "default_engine": queue.default_engine.value,
        "max_running": queue.max_running,
        "max_waiting": queue.max_waiting,
        "max_cu": queue.max_cu,
        "timeout_ms": queue.timeout // _MILLISECOND,
        "guard_levels": dict(queue.guard_levels),
        "max_bytes": queue.max_bytes,
        "max_cost": queue.max_cost,
        "price_class": queue.price_class,
        "version": queue.version,
        "state": queue.state.value,
        "kinds": None if queue.kinds == _ALL_KINDS else sorted(queue.kinds),
        "engines": None if queue.engines == _ALL_ENGINES else sorted(queue.engines),
        "conf_allowed": None if queue.conf_allowed == CONF_ALLOWED else list(queue.conf_allowed),
        "min_cu": queue.min_cu,
        "max_running_per_user": queue.max_running_per_user,
        "min_priority": queue.min_priority,
        "max_priority": queue.max_priority,
        "default_priority": queue.default_priority,
        "max_timeout_ms": queue.max_timeout and queue.max_timeout // _MILLISECOND,
        "overcommit": queue.overcommit,
        "weight": queue.weight,
        "monthly_budget": queue.monthly_budget,
        "user_weights": dict(queue.user_weights) or None,
        "pods": None if queue.pods == QueuePods() else queue.pods.as_json(),
    }


_SELECT = Prepared(
    select(queues).where(
        queues.c.project_id == bindparam("project"), queues.c.name == bindparam("queue")
    )
)
_SOME = select(queues).where(
    tuple_(queues.c.project_id, queues.c.name).in_(bindparam("keys", expanding=True))
)
