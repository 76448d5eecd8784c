"""The background work that no part brings along itself."""

from __future__ import annotations

from datetime import timedelta

from dli.api.idempotency import forget_replies
from dli.settings.loading import Settings
from dli.wiring.storage import Stored
from jobs.files import Files
from jobs.holding import held_files
from jobs.loops.runner import Loop
from jobs.pipelines.service import Pipelines
from jobs.retention import Kept, Retention

_SELDOM = timedelta(minutes=10)


def pipelines_loop(stored: Stored, pipelines: Pipelines) -> Loop:
    """Runs of pipelines that wait for nothing but time."""
    return Loop(
        name="pipelines",
        tick=pipelines.tick,
        clock=stored.clock,
        idle=timedelta(milliseconds=500),
        worst=timedelta(seconds=5),
        wake=pipelines.wake,
    )


def tidying_loops(settings: Settings, stored: Stored, files: Files) -> tuple[Loop, ...]:
    """What takes away that is of no use any more: replies, uploads, old jobs."""
    kept = Kept(jobs=settings.jobs_kept, logs=settings.logs_kept, keys=settings.idempotency_kept)
    retention = Retention(
        database=stored.database,
        store=stored.warehouse,
        results=stored.results,
        clock=stored.clock,
        kept=kept,
    )

    def replies() -> int:
        return forget_replies(stored.database, stored.clock.now())

    def uploads() -> int:
        return files.sweep(held_files)

    ticks = {"replies": replies, "files": uploads, "retention": retention.tick}
    return tuple(
        Loop(name=name, tick=tick, clock=stored.clock, idle=_SELDOM) for name, tick in ticks.items()
    )
