"""The first of those that wait, read by an index whose size does not matter.

A *line* is the jobs of one user in one queue, in their order. The walk goes from line to line and
takes the first few of each: a hundred thousand waiting jobs cost no more than the ones that are
taken.
"""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from functools import partial
from typing import Any, NamedTuple

from sqlalchemy import TextualSelect, bindparam, column, text

from jobs.lifecycle.spec import EngineName, JobKind
from jobs.queues.demand import Place, Waiting
from jobs.store.rows import WAITS, jobs
from storage.base.ids import JobId, ProjectId, UserId
from storage.meta.database import Tx
from storage.meta.prepared import Prepared
from storage.meta.types import Json, UtcDateTime

MOST = 512  #: jobs that are looked at in one round


class Passed(StrEnum):
    """Which pipeline runs a walk passes over, as there is no seat for them.

    A line may have any number of these in front; what those that run wait for is behind them.
    """

    NONE = "none"
    TOP = "top"  #: those that are within no other
    ALL = "all"


class Line(NamedTuple):
    """Where a user waits."""

    project_id: str = ""
    queue: str = ""
    user_id: str = ""


START = Line()  #: before the first of all lines


def heads(
    tx: Tx,
    *,
    now: datetime,
    each: int,
    after: Line = START,
    most: int = MOST,
    passed: Passed = Passed.NONE,
) -> tuple[Waiting, ...]:
    """At most ``each`` of a line and ``most`` of all that are not in a pause.

    Lines are taken from the one behind ``after`` on, and from the start again at the end.
    """
    walk = partial(_walk, tx, _HEADS[passed], now=now, each=each)
    found = walk(after=after, most=most)
    if len(found) < most and after != START:
        known = {job.id for job in found}
        rest = walk(after=START, most=most - len(found))
        found += [job for job in rest if job.id not in known]
    return tuple(found)


def line_of(job: Waiting) -> Line:
    """The line in which it waits."""
    return Line(job.place.project_id, job.place.queue, job.user_id)


def _walk(
    tx: Tx, statement: Prepared, *, now: datetime, each: int, after: Line, most: int
) -> list[Waiting]:
    values: dict[str, Any] = {"now": now, "each": each, "most": most}
    values |= {"project": after.project_id, "queue": after.queue, "user": after.user_id}
    return [_waiting(row) for row in statement.all(tx, values)]


def _waiting(row: Any) -> Waiting:
    return Waiting(
        id=JobId(row.id),
        place=Place(ProjectId(row.project_id), row.queue),
        user_id=UserId(row.user_id),
        kind=JobKind(row.kind),
        engine=None if row.engine is None else EngineName(row.engine),
        turn=row.turn,
        cpu_millis=row.cpu_millis,
        memory_bytes=row.memory_bytes,
        not_before=row.not_before,
        ends_by=row.deadline,
        depth=0 if row.nested is None else row.nested.get("depth", 0),
    )


_TAKEN = (
    "id", "project_id", "queue", "user_id", "turn", "kind", "engine", "cpu_millis",
    "memory_bytes", "not_before", "deadline",
)  # fmt: skip
#: What was asked for, only of the few of which it says how deep they are.
_NESTED = f"""CASE WHEN jobs.kind = '{JobKind.PIPELINE.value}' AND jobs.parent_id IS NOT NULL
  THEN jobs.spec END AS nested"""
_READY = f"{WAITS} AND (j.not_before IS NULL OR j.not_before <= :now)"
_BY_LINE = "ORDER BY j.project_id, j.queue, j.user_id, j.turn, j.id LIMIT 1"
#: Behind a line: the next user there, else in the next queue, else in the next project. One after
#: the other, since SQLite uses no index for all three columns of another row at once.
_NEXT_LINES = (
    "j.project_id = w.project_id AND j.queue = w.queue AND j.user_id > w.user_id",
    "j.project_id = w.project_id AND j.queue > w.queue",
    "j.project_id > w.project_id",
)


_RUN = f"j.kind = '{JobKind.PIPELINE.value}'"
_BUT = {
    Passed.NONE: "",
    Passed.TOP: f" AND NOT ({_RUN} AND j.parent_id IS NULL)",
    Passed.ALL: f" AND NOT {_RUN}",
}


def _walk_through(source: str, passed: Passed) -> TextualSelect:
    """``source`` names the table ``j``. All text is ours, so it cannot be injected into.

    A step of the walk finds the next job by look-ups in ``ix_jobs_waiting``: of the same line while
    ``n`` is below ``each``, else the first of the next line.
    """
    ready = _READY + _BUT[passed]
    next_lines = ", ".join(
        f"(SELECT j.id FROM {source} WHERE {ready} AND {where} {_BY_LINE})"  # noqa: S608
        for where in _NEXT_LINES
    )
    walk = f"""
WITH RECURSIVE walk (id, project_id, queue, user_id, turn, n, total) AS (
  SELECT * FROM (
    SELECT j.id, j.project_id, j.queue, j.user_id, j.turn, 1, 1 FROM {source}
    WHERE {ready} AND (j.project_id, j.queue, j.user_id) > (:project, :queue, :user)
    {_BY_LINE}
  ) AS first_one
  UNION ALL
  SELECT k.id, k.project_id, k.queue, k.user_id, k.turn,
    CASE WHEN k.project_id = w.project_id AND k.queue = w.queue AND k.user_id = w.user_id
      THEN w.n + 1 ELSE 1 END,
    w.total + 1
  FROM walk w JOIN jobs k ON k.id = COALESCE(
    CASE WHEN w.n < :each THEN (
      SELECT j.id FROM {source}
      WHERE {ready} AND j.project_id = w.project_id AND j.queue = w.queue
        AND j.user_id = w.user_id AND (j.turn, j.id) > (w.turn, w.id)
      ORDER BY j.turn, j.id LIMIT 1) END,
    {next_lines})
  WHERE w.total < :most
)
SELECT {", ".join(f"jobs.{name}" for name in _TAKEN)}, {_NESTED}
FROM walk JOIN jobs ON jobs.id = walk.id ORDER BY walk.total
"""  # noqa: S608
    return (
        text(walk)
        .bindparams(bindparam("now", type_=UtcDateTime))
        .columns(*(column(name, jobs.c[name].type) for name in _TAKEN), column("nested", Json))
    )


_HEADS = {
    passed: Prepared(
        {
            "sqlite": _walk_through("jobs j INDEXED BY ix_jobs_waiting", passed),
            "postgresql": _walk_through("jobs j", passed),
        }
    )
    for passed in Passed
}
