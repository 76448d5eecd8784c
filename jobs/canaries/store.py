"""Canaries and their trials in rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from datetime import datetime
from typing import Any

from sqlalchemy import Row, delete, func, insert, select, update
from sqlalchemy.exc import IntegrityError

from jobs.canaries.rows import canaries, canary_trials
from jobs.canaries.spec import (
    Canary,
    CanaryExistsError,
    CanaryMissingError,
    CanaryState,
    EndedFor,
)
from jobs.canaries.trials import ERRORS, Outcome, Report, Trial, TrialKind, ratios_of
from storage.base.ids import CanaryId, JobId, ProjectId, UserId
from storage.meta.database import Tx

_MOST_WORST = 50  #: that a report names
_MOST_TIMED = 10_000  #: newest ones, that ratios are of
_AT_ONCE = 500  #: rows that one transaction forgets
_BAD = tuple(sorted({Outcome.DIFFERENT, *ERRORS}))


def create(tx: Tx, canary: Canary) -> None:
    """Keep a new one. Raises ``CanaryExistsError``."""
    if running(tx, canary.project_id, canary.queue) is not None:
        raise CanaryExistsError(
            f"queue {canary.queue} has a canary already",
            hint="promote it or roll it back first",
            queue=canary.queue,
        )
    try:
        tx.execute(insert(canaries).values(asdict(canary) | {"state": canary.state.value}))
    except IntegrityError as error:  # somebody else was first, by a moment
        raise CanaryExistsError(
            f"queue {canary.queue} has a canary already", queue=canary.queue
        ) from error


def running(tx: Tx, project_id: ProjectId, queue: str) -> Canary | None:
    """The queue's canary, if it has one now."""
    row = tx.execute(
        select(canaries).where(
            canaries.c.project_id == project_id,
            canaries.c.queue == queue,
            canaries.c.state == CanaryState.RUNNING.value,
        )
    ).first()
    return None if row is None else _canary_of(row)


def get_running(tx: Tx, project_id: ProjectId, queue: str) -> Canary:
    """As ``running``. Raises ``CanaryMissingError``."""
    found = running(tx, project_id, queue)
    if found is None:
        raise CanaryMissingError(
            f"queue {queue} has no canary",
            hint=f"`dli queue canary history {queue}` has those it had",
            queue=queue,
        )
    return found


def all_running(tx: Tx) -> tuple[Canary, ...]:
    """Of all projects."""
    rows = tx.execute(select(canaries).where(canaries.c.state == CanaryState.RUNNING.value))
    return tuple(_canary_of(row) for row in rows)


def history(tx: Tx, project_id: ProjectId, queue: str, *, limit: int) -> tuple[Canary, ...]:
    """All that the queue had, the newest first."""
    rows = tx.execute(
        select(canaries)
        .where(canaries.c.project_id == project_id, canaries.c.queue == queue)
        .order_by(canaries.c.id.desc())
        .limit(limit)
    )
    return tuple(_canary_of(row) for row in rows)


def change(tx: Tx, canary: Canary) -> Canary:
    """Keep its shares. Raises ``CanaryMissingError`` when it has ended."""
    return _write(
        tx,
        canary,
        {
            "percent": canary.percent,
            "shadow": canary.shadow,
            "max_errors": canary.max_errors,
        },
    )


def end(
    tx: Tx,
    canary: Canary,
    state: CanaryState,
    *,
    at: datetime,
    why: EndedFor,
    by: UserId | None,
    figures: Mapping[str, Any],
) -> Canary:
    """End it once. Raises ``CanaryMissingError`` when it has ended already."""
    return _write(
        tx,
        replace(
            canary, state=state, ended_at=at, ended_by=by, ended_for=why, figures=dict(figures)
        ),
        {
            "state": state.value,
            "ended_at": at,
            "ended_by": by,
            "ended_for": why.value,
            "figures": dict(figures),
        },
    )


def _write(tx: Tx, after: Canary, values: Mapping[str, Any]) -> Canary:
    running_one = canaries.c.id == after.id, canaries.c.state == CanaryState.RUNNING.value
    written = tx.execute(
        update(canaries).where(*running_one).values(values).returning(canaries.c.id)
    ).first()
    if written is None:
        raise CanaryMissingError(
            f"the canary of queue {after.queue} has ended meanwhile", queue=after.queue
        )
    return after


def add_dropped(tx: Tx, canary_id: CanaryId, count: int) -> None:
    """Count queries that were not compared."""
    tx.execute(
        update(canaries)
        .where(canaries.c.id == canary_id)
        .values(dropped=canaries.c.dropped + count)
    )


def add_trial(tx: Tx, trial: Trial) -> None:
    """Keep what became of a statement; the last word counts."""
    same = (
        canary_trials.c.canary_id == trial.canary_id,
        canary_trials.c.job_id == trial.job_id,
        canary_trials.c.kind == trial.kind.value,
    )
    tx.execute(delete(canary_trials).where(*same))
    values = asdict(trial) | {"kind": trial.kind.value, "outcome": trial.outcome.value}
    tx.execute(insert(canary_trials).values(values))


def rescue(tx: Tx, canary_id: CanaryId, job_id: JobId) -> None:
    """The statement, if it failed on the canary, has finished on the queue's own image."""
    tx.execute(
        update(canary_trials)
        .where(
            canary_trials.c.canary_id == canary_id,
            canary_trials.c.job_id == job_id,
            canary_trials.c.kind == TrialKind.SPLIT.value,
            canary_trials.c.outcome == Outcome.FAILED.value,
        )
        .values(outcome=Outcome.RESCUED.value)
    )


def counts(tx: Tx, canary_id: CanaryId) -> Mapping[tuple[TrialKind, Outcome], int]:
    """How many trials that are kept came to what."""
    counted = tx.execute(
        select(canary_trials.c.kind, canary_trials.c.outcome, func.count().label("trials"))
        .where(canary_trials.c.canary_id == canary_id)
        .group_by(canary_trials.c.kind, canary_trials.c.outcome)
    )
    return {(TrialKind(row.kind), Outcome(row.outcome)): row.trials for row in counted}


def report(tx: Tx, canary: Canary) -> Report:
    """What is known of it by the trials that are kept."""
    of_it = select(canary_trials).where(canary_trials.c.canary_id == canary.id)
    newest = of_it.order_by(canary_trials.c.at.desc())
    is_shadow = canary_trials.c.kind == TrialKind.SHADOW.value
    shadows = newest.where(is_shadow).limit(_MOST_TIMED)
    spent = select(func.sum(canary_trials.c.canary_cu_ms)).where(
        canary_trials.c.canary_id == canary.id, is_shadow
    )
    bad = newest.where(canary_trials.c.outcome.in_(_BAD)).limit(_MOST_WORST)
    return Report(
        counts=counts(tx, canary.id),
        dropped=canary.dropped,
        shadow_cu_ms=int(tx.execute(spent).scalar() or 0),
        ratios=ratios_of([_trial_of(row) for row in tx.execute(shadows)]),
        worst=[_trial_of(row) for row in tx.execute(bad)],
    )


def forget_trials(tx: Tx, *, before: datetime) -> int:
    """Drop a few of those that are older; how many. The figures of ended canaries stay."""
    old = (
        select(canary_trials.c.canary_id, canary_trials.c.job_id, canary_trials.c.kind)
        .where(canary_trials.c.at < before)
        .limit(_AT_ONCE)
    )
    rows = tx.execute(old).all()
    for row in rows:
        tx.execute(
            delete(canary_trials).where(
                canary_trials.c.canary_id == row.canary_id,
                canary_trials.c.job_id == row.job_id,
                canary_trials.c.kind == row.kind,
            )
        )
    return len(rows)


def _canary_of(row: Row[Any]) -> Canary:
    return Canary(
        id=row.id,
        project_id=row.project_id,
        queue=row.queue,
        image=row.image,
        percent=row.percent,
        shadow=row.shadow,
        max_errors=row.max_errors,
        replaces=row.replaces,
        started_at=row.started_at,
        started_by=row.started_by,
        state=CanaryState(row.state),
        ended_at=row.ended_at,
        ended_by=row.ended_by,
        ended_for=None if row.ended_for is None else EndedFor(row.ended_for),
        figures=row.figures,
        dropped=row.dropped,
    )


def _trial_of(row: Row[Any]) -> Trial:
    values: Sequence[str] = [column.name for column in canary_trials.c]
    given = {name: getattr(row, name) for name in values}
    return Trial(**given | {"kind": TrialKind(row.kind), "outcome": Outcome(row.outcome)})
