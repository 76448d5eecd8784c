"""What belongs to the end of a statement, whoever brings it about: its usage and its bill."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from jobs.lifecycle.job import Job
from jobs.lifecycle.states import JobState
from jobs.usage import Allowance, UsageRecord, UsageSink
from storage.meta.database import Tx


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """Money and quantities, in the transaction that ends an attempt or the job."""

    allowance: Allowance
    sink: UsageSink

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
        if job.state.terminal and job.quote is not None:
            self.allowance.settle(
                tx,
                job_id=job.id,
                project_id=job.project_id,
                quote=job.quote,
                billable=job.state is JobState.FINISHED,
            )
