"""What programs and statements used before, and what their next runs get: read and set."""

from __future__ import annotations

from dataclasses import dataclass

from jobs.history import book
from jobs.history.fingerprints import fingerprint_of
from jobs.history.store import Observation, recent
from jobs.lifecycle.job import Job
from jobs.lifecycle.spec import Size
from storage.base.clock import Clock
from storage.base.ids import ProjectId, UserId
from storage.meta.database import Database


@dataclass(frozen=True, slots=True, kw_only=True)
class Histories:
    """Of all projects; each sees its own only."""

    database: Database
    clock: Clock

    def past(self, job: Job) -> tuple[Observation, ...]:
        """What the same program or statement used before, in this project; newest first."""
        fingerprint = fingerprint_of(job.spec)
        if fingerprint is None:
            return ()
        with self.database.read() as tx:
            return recent(tx, job.project_id, fingerprint)

    def get(self, project_id: ProjectId, fingerprint: str) -> book.History:
        """What a program or statement used before, and what its next run gets.

        Raises ``HistoryMissingError``.
        """
        with self.database.read() as tx:
            return book.read(tx, project_id, fingerprint)

    def set_next_size(
        self, project_id: ProjectId, fingerprint: str, size: Size | None, *, by: UserId
    ) -> book.History:
        """Let the next runs that name no size have this one; None: what their history says.

        Raises ``HistoryMissingError`` and ``HistorySizeInvalidError``.
        """
        with self.database.transaction() as tx:
            if size is None:
                book.unset_size(tx, project_id, fingerprint)
            else:
                wanted = book.SetSize(size=size, user_id=by, at=self.clock.now())
                book.set_size(tx, project_id, fingerprint, wanted)
            return book.read(tx, project_id, fingerprint)
