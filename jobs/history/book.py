"""What is known of one program or statement of a project: read, and overridden.

The next run gets the size that its request names, else the one that was set here, else what follows
from what its last runs used, else the default.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import delete, select
from sqlalchemy.dialects import postgresql, sqlite

from jobs.history.rows import history_sizes
from jobs.history.sizing import Suggestion, suggest
from jobs.history.store import Observation, recent
from jobs.lifecycle.spec import Size
from storage.base.errors import InvalidInputError, NotFoundError
from storage.base.ids import ProjectId, UserId
from storage.meta.database import Tx

_MOST_CORES = 256
_LEAST_MEMORY, _MOST_MEMORY = 16 << 20, 1 << 40


class HistoryMissingError(NotFoundError):
    """Nothing ran in the project that has this fingerprint, and nothing was set for it."""

    code = "history_not_found"


class HistorySizeInvalidError(InvalidInputError):
    """A size that no job can have."""

    code = "history_size_invalid"


@dataclass(frozen=True, slots=True, kw_only=True)
class SetSize:
    """What somebody said that the next runs get."""

    size: Size
    user_id: UserId
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """``past`` is newest first; ``next`` is for a run that names no size, None: the default."""

    fingerprint: str
    past: Sequence[Observation]
    set: SetSize | None
    next: Suggestion | None


def read(tx: Tx, project_id: ProjectId, fingerprint: str) -> History:
    """All that is known. Raises ``HistoryMissingError``."""
    past, size = recent(tx, project_id, fingerprint), _set_size(tx, project_id, fingerprint)
    if not past and size is None:
        raise HistoryMissingError(
            f"nothing is known of {fingerprint[:64]!r} in this project",
            hint="`dli job explain ID` tells the fingerprint of a job",
        )
    return History(fingerprint=fingerprint, past=past, set=size, next=_suggested(past, size))


def next_size(tx: Tx, project_id: ProjectId, fingerprint: str) -> Suggestion | None:
    """The size for a run that names none; None where nothing says one."""
    size = _set_size(tx, project_id, fingerprint)
    return _suggested(() if size else recent(tx, project_id, fingerprint), size)


def set_size(tx: Tx, project_id: ProjectId, fingerprint: str, wanted: SetSize) -> None:
    """Let the next runs have this size, in place of one that was set before.

    Raises ``HistoryMissingError`` for work that never ran, and ``HistorySizeInvalidError``.
    """
    _check(wanted.size)
    read(tx, project_id, fingerprint)
    values = {
        "cores": wanted.size.cores,
        "memory_bytes": wanted.size.memory_bytes,
        "user_id": wanted.user_id,
        "set_at": wanted.at,
    }
    made = _INSERT[tx.dialect.name].values(project_id=project_id, fingerprint=fingerprint, **values)
    key = [history_sizes.c.project_id, history_sizes.c.fingerprint]
    tx.execute(made.on_conflict_do_update(index_elements=key, set_=values))


def unset_size(tx: Tx, project_id: ProjectId, fingerprint: str) -> None:
    """Go by what its runs use again; twice is the same as once. Raises ``HistoryMissingError``."""
    read(tx, project_id, fingerprint)
    here = history_sizes.c.project_id == project_id, history_sizes.c.fingerprint == fingerprint
    tx.execute(delete(history_sizes).where(*here))


def _suggested(past: Sequence[Observation], size: SetSize | None) -> Suggestion | None:
    if size is None:
        return suggest(past)
    reason = f"set by {size.user_id} on {size.at:%Y-%m-%d}"
    return Suggestion(size=size.size, reason=reason, said=True)


def _set_size(tx: Tx, project_id: ProjectId, fingerprint: str) -> SetSize | None:
    here = history_sizes.c.project_id == project_id, history_sizes.c.fingerprint == fingerprint
    row = tx.execute(select(history_sizes).where(*here)).first()
    if row is None:
        return None
    size = Size(cores=row.cores, memory_bytes=row.memory_bytes)
    return SetSize(size=size, user_id=row.user_id, at=row.set_at)


def _check(size: Size) -> None:
    if not 1 <= size.cores <= _MOST_CORES:
        raise HistorySizeInvalidError(f"cores are from 1 to {_MOST_CORES}", field="cores")
    if not _LEAST_MEMORY <= size.memory_bytes <= _MOST_MEMORY:
        raise HistorySizeInvalidError("memory is from 16 MiB to 1 TiB", field="memory")


_INSERT: dict[str, Any] = {
    name: dialect.insert(history_sizes)
    for name, dialect in (("sqlite", sqlite), ("postgresql", postgresql))
}
