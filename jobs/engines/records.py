"""What is written down of engines, for other replicas and for the next life of this one."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from jobs.launchers.api import Launcher, RunStatus
from jobs.lifecycle.runs import is_of_job
from jobs.store import run_rows
from storage.base.clock import Clock
from storage.base.errors import ServiceError
from storage.base.ids import RunId
from storage.meta.database import Database

log = logging.getLogger(__name__)

_SEEN = timedelta(seconds=10)
_SILENT = timedelta(minutes=5)
_LEFT = timedelta(days=1)  # in which a place is asked for those that were silent


@dataclass(slots=True, kw_only=True)
class Records:
    """The rows of the engines that ``owner`` has."""

    database: Database
    clock: Clock
    owner: str
    _seen_at: datetime | None = field(default=None, init=False)

    def ready(self, run_id: RunId) -> None:
        """It takes statements from now on."""
        with self.database.transaction() as tx:
            run_rows.ready_run(tx, run_id, at=self.clock.now())

    def ended(self, run_id: RunId, status: RunStatus, *, reason: str) -> None:
        """It has ended, as ``status`` says."""
        with self.database.transaction() as tx:
            run_rows.end_run(
                tx,
                run_id,
                at=self.clock.now(),
                exit_code=status.exit_code,
                reason=reason,
                cpu=timedelta(seconds=status.cpu_seconds),
            )

    def seen(self, launcher: Launcher) -> None:
        """All of them live still; those of which nobody says so any more have ended.

        Written every ten seconds, however often this is called. In a place that replicas share
        they are ended there as well: one that never began has no lease that would end it.
        """
        now = self.clock.now()
        if self._seen_at is not None and now - self._seen_at < _SEEN:
            return
        self._seen_at = now
        with self.database.transaction() as tx:
            run_rows.see_runs(tx, self.owner, at=now)
            run_rows.end_unseen(tx, before=now - _SILENT, at=now)
            left = run_rows.unseen(tx, since=now - _LEFT) if launcher.place is not None else ()
        for run_id in left:
            if not launcher.status(run_id).state.ended:
                _end(launcher, run_id, reason="its service is silent")

    def end_those_before(self, launcher: Launcher) -> int:
        """Kill and forget the engines that an earlier life of the owner left; how many lived.

        Runs of jobs stay, since they may be adopted. In a place that replicas share they are not
        even looked at: those of other replicas are among them.
        """
        found = 0
        with self.database.read() as tx:
            of_jobs = run_rows.living_job_runs(tx, self.owner)
        for run_id in list(launcher.known()):
            if run_id in of_jobs or (launcher.place is not None and is_of_job(run_id)):
                continue
            found += _end(launcher, run_id, reason="its service died")
        with self.database.transaction() as tx:
            run_rows.end_owned(tx, self.owner, at=self.clock.now())
        if found:
            log.warning("runs of a dead service killed", extra={"count": found})
        return found


def _end(launcher: Launcher, run_id: RunId, *, reason: str) -> bool:
    """Kill and forget it; whether it lived."""
    try:
        lived = not launcher.status(run_id).state.ended
        if lived:
            launcher.stop(run_id, grace=timedelta(0), reason=reason)
        launcher.forget(run_id)
    except ServiceError as error:  # its cluster does not answer: the lease ends it there
        log.warning("engine not ended", extra={"run": run_id, "reason": error.message})
        return False
    return lived
