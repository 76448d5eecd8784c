"""What belongs to the end of a statement, whoever brings it about: its usage and its bill."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from jobs.history.keeping import History
from jobs.lifecycle.job import Job
from jobs.lifecycle.states import JobState
from jobs.usage import Allowance, UsageRecord, UsageSink
from storage.meta.database import Tx


class Notices(Protocol):
    """Who wants to hear of jobs that end."""

    def ended(self, tx: Tx, job: Job, *, at: datetime) -> None:
        """``job`` is at its end; what is kept of that is kept in the caller's transaction."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """Money, quantities and news, in the transaction that ends an attempt or the job."""

    allowance: Allowance
    sink: UsageSink
    notices: tuple[Notices, ...] = ()
    history: History = field(default_factory=History)

    def close(self, tx: Tx, job: Job, *, used: Mapping[str, int], at: datetime) -> None:
        """Record what the attempt of ``job`` used; at the job's end, turn the quote into the bill.

        A finished statement is billed exactly its quote, any other nothing.
        """
        records = [
            UsageRecord(
                job_id=job.id,
                project_id=job.project_id,
                attempt=job.attempt,
                meter=meter,
                quantity=quantity,
                at=at,
            )
            for meter, quantity in used.items()
            if quantity
        ]
        if records:
            self.sink.record(tx, records)
        self.history.keep(tx, job, used=used, at=at)
        if job.state.terminal and job.quote is not None:
            self.allowance.settle(
                tx,
                job_id=job.id,
                project_id=job.project_id,
                quote=job.quote,
                billable=job.state is JobState.FINISHED,
            )
        if job.state.terminal:
            for each in self.notices:
                each.ended(tx, job, at=at)
