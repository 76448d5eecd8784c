"""Usage is written down once, in the transaction that ends the job. Implements ``UsageSink``."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import func, select
from sqlalchemy.dialects import postgresql, sqlite

from dli.metering.rows import usage
from jobs.usage import UsageRecord
from storage.base.ids import JobId
from storage.meta.database import Tx
from storage.meta.prepared import Prepared

#: Built once: one of them runs for every statement.
_APPEND = Prepared(
    {
        "postgresql": postgresql.insert(usage).on_conflict_do_nothing(),
        "sqlite": sqlite.insert(usage).on_conflict_do_nothing(),
    }
)


class UsageLedger:
    """Appends to the ``usage`` table; nothing there is ever changed."""

    def record(self, tx: Tx, records: Sequence[UsageRecord]) -> None:
        """Keep ``records``; of two with the same job, attempt and meter the first counts."""
        if not records:
            return
        _APPEND.run_each(
            tx,
            [
                {
                    "job_id": record.job_id,
                    "attempt": record.attempt,
                    "meter": record.meter,
                    "project_id": record.project_id,
                    "quantity": record.quantity,
                    "at": record.at,
                }
                for record in records
            ],
        )


def usage_of(tx: Tx, job_ids: Sequence[JobId]) -> dict[JobId, dict[str, int]]:
    """What jobs have used by meter, over all attempts; jobs without usage are left out."""
    found: dict[JobId, dict[str, int]] = {}
    rows = tx.execute(
        select(usage.c.job_id, usage.c.meter, func.sum(usage.c.quantity).label("quantity"))
        .where(usage.c.job_id.in_(job_ids))
        .group_by(usage.c.job_id, usage.c.meter)
    )
    for row in rows:
        found.setdefault(JobId(row.job_id), {})[row.meter] = int(row.quantity)
    return found
