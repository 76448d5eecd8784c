"""The first of those that wait, read by an index whose size does not matter.

A *line* is the jobs of one user in one queue, in their order. The walk goes from line to line and
takes the first few of each: a hundred thousand waiting jobs cost no more than the ones that are
taken.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from functools import partial
from typing import Any, NamedTuple

from sqlalchemy import Integer, TextualSelect, bindparam, column, text

from jobs.lifecycle.spec import EngineName, JobKind
from jobs.queues.demand import Place, Waiting
from jobs.store.rows import WAITS, jobs
from storage.base.ids import JobId, ProjectId, UserId
from storage.meta.database import Tx
from storage.meta.prepared import Prepared
from storage.meta.types import UtcDateTime

MOST = 512  #: jobs that are looked at in one round


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
    but_depths: Collection[int] = (),
) -> tuple[Waiting, ...]:
    """At most ``each`` of a line and ``most`` of all that are not in a pause.

    Lines are taken from the one behind ``after`` on, and from the start again at the end. Pipeline
    runs of ``but_depths`` are passed over: a line may have any number of those without a seat in
    front, and what those wait for that have the seats is behind them.
    """
    walk = partial(_walk, tx, frozenset(but_depths), now=now, each=each)
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
    tx: Tx, but: frozenset[int], *, now: datetime, each: int, after: Line, most: int
) -> list[Waiting]:
    values: dict[str, Any] = {"now": now, "each": each, "most": most}
    values |= {"project": after.project_id, "queue": after.queue, "user": after.user_id}
    if but:
        values["but"] = sum(1 << depth for depth in but)
    return [_waiting(row) for row in (_HEADS_BUT if but else _HEADS).all(tx, values)]


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
        depth=row.depth,
    )


_TAKEN = (
    "id", "project_id", "queue", "user_id", "turn", "kind", "engine", "cpu_millis",
    "memory_bytes", "not_before", "deadline",
)  # fmt: skip
#: How deep a run of the table ``{0}`` is; what was asked for is read only where it says so.
_DEPTHS = {
    "sqlite": "json_extract({0}.spec, '$.depth')",
    "postgresql": "CAST(CAST({0}.spec AS JSON) ->> 'depth' AS INTEGER)",
}
_DEPTH = f"""CASE WHEN {{0}}.kind = '{JobKind.PIPELINE.value}' AND {{0}}.parent_id IS NOT NULL
  THEN COALESCE(%s, 0) ELSE 0 END"""
_READY = f"{WAITS} AND (j.not_before IS NULL OR j.not_before <= :now)"
_BY_LINE = "ORDER BY j.project_id, j.queue, j.user_id, j.turn, j.id LIMIT 1"
#: Behind a line: the next user there, else in the next queue, else in the next project. One after
#: the other, since SQLite uses no index for all three columns of another row at once.
_NEXT_LINES = (
    "j.project_id = w.project_id AND j.queue = w.queue AND j.user_id > w.user_id",
    "j.project_id = w.project_id AND j.queue > w.queue",
    "j.project_id > w.project_id",
)


def _walk_through(source: str, dialect: str, *, but: bool) -> TextualSelect:
    """``source`` names the table ``j``. All text is ours, so it cannot be injected into.

    A step of the walk finds the next job by look-ups in ``ix_jobs_waiting``: of the same line while
    ``n`` is below ``each``, else the first of the next line.
    """
    depth = _DEPTH % _DEPTHS[dialect]
    ready = _READY
    if but:  # the bit of its depth
        ready += f""" AND CASE WHEN j.kind = '{JobKind.PIPELINE.value}'
  THEN (CAST(:but AS INTEGER) >> {depth.format("j")}) & 1 ELSE 0 END = 0"""
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
SELECT {", ".join(f"jobs.{name}" for name in _TAKEN)}, {depth.format("jobs")} AS depth
FROM walk JOIN jobs ON jobs.id = walk.id ORDER BY walk.total
"""  # noqa: S608
    return (
        text(walk)
        .bindparams(bindparam("now", type_=UtcDateTime))
        .columns(*(column(name, jobs.c[name].type) for name in _TAKEN), column("depth", Integer))
    )


_HEADS, _HEADS_BUT = (
    Prepared(
        {
            "sqlite": _walk_through("jobs j INDEXED BY ix_jobs_waiting", "sqlite", but=but),
            "postgresql": _walk_through("jobs j", "postgresql", but=but),
        }
    )
    for but in (False, True)
)
