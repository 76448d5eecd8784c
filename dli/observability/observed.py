"""Counts what statements used and how they ended, where it is written down anyway.

The counting happens inside the transactions: one that is rolled back and tried again counts twice.
Metrics may be that wrong; bills are made from rows.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from dli.observability.metrics import Metrics
from jobs.usage import Allowance, QueueBudget, Quote, UsageRecord, UsageSink
from storage.base.clock import Clock
from storage.base.ids import JobId, ProjectId
from storage.meta.database import Tx


class ObservedSink:
    """A ``UsageSink`` that tells the metrics."""

    def __init__(self, inner: UsageSink, metrics: Metrics) -> None:
        self._inner = inner
        self._metrics = metrics

    def record(self, tx: Tx, records: Sequence[UsageRecord]) -> None:
        """Keep ``records`` and count them."""
        self._inner.record(tx, records)
        for record in records:
            self._metrics.usage.labels(record.meter).inc(record.quantity)


class ObservedAllowance:
    """An ``Allowance`` that tells the metrics when and how statements end."""

    def __init__(self, inner: Allowance, metrics: Metrics, clock: Clock) -> None:
        self._inner = inner
        self._metrics = metrics
        self._clock = clock

    def quote(self, *, price_class: str, quantities: Mapping[str, int], at: datetime) -> Quote:
        """As the inner one."""
        return self._inner.quote(price_class=price_class, quantities=quantities, at=at)

    def reserve(
        self,
        tx: Tx,
        *,
        job_id: JobId,
        project_id: ProjectId,
        quote: Quote,
        cap: int | None,
        queue: QueueBudget | None = None,
    ) -> None:
        """As the inner one."""
        self._inner.reserve(
            tx, job_id=job_id, project_id=project_id, quote=quote, cap=cap, queue=queue
        )

    def settle(
        self, tx: Tx, *, job_id: JobId, project_id: ProjectId, quote: Quote, billable: bool
    ) -> None:
        """As the inner one; the span from the quote to now is the statement's whole time."""
        self._inner.settle(tx, job_id=job_id, project_id=project_id, quote=quote, billable=billable)
        seconds = (self._clock.now() - quote.priced_at).total_seconds()
        self._metrics.statement_ended("finished" if billable else "not_finished", seconds)
