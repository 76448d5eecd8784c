"""Jobs that would rather wait for money than be refused.

Such a job is queued without a reservation. It is paid for when it is claimed, in the transaction of
the claim; where there is still no money it pauses, so that it holds up nobody behind it. No other
job ever waits for money: it is reserved when the job is taken, or the job is refused.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from sqlalchemy import bindparam, text, update

from jobs.lifecycle.job import Job
from jobs.lifecycle.spec import OnBudget, StatementSpec
from jobs.queues.store import get
from jobs.store.jobs import requote
from jobs.store.rows import WAITS, jobs
from jobs.usage import Allowance, BudgetExceededError, CapExceededError, QueueBudget
from storage.base.ids import ProjectId
from storage.meta.database import Tx

#: Until a job without money is looked at again, unless a budget is changed before.
PAUSE = timedelta(seconds=30)


@dataclass(frozen=True, slots=True, kw_only=True)
class Purse:
    """Pays for jobs, in the caller's transaction."""

    allowance: Allowance

    def pay(self, tx: Tx, job: Job, budget: QueueBudget | None) -> bool:
        """Reserve the money of a job; false if there is none now and it would rather wait.

        Raises what ``Allowance.reserve`` does; for false nothing is kept.
        """
        if job.quote is None:
            return True
        if not would_wait(job):
            self._reserve(tx, job, budget)
            return True
        try:
            with tx.begin_nested():
                self._reserve(tx, job, budget)
        except BudgetExceededError:
            return False
        return True

    def pay_late(self, tx: Tx, job: Job, *, now: datetime) -> Job | None:
        """Pay, by the prices of now, for one that was not paid for so far; it with its new price.

        None if it goes on waiting: there is no money, or its price has grown above its own cap.
        """
        assert job.quote is not None, "what waits for money has a price"
        quote = self.allowance.quote(
            price_class=job.quote.price_class, quantities=job.quote.quantities, at=now
        )
        job = replace(job, quote=quote)
        try:
            paid = self.pay(tx, job, get(tx, job.project_id, job.queue).budget)
        except CapExceededError:
            paid = False
        if not paid:
            tx.execute(_PAUSE, {"job": job.id, "until": now + PAUSE})
            return None
        requote(tx, job.id, quote)
        return job

    def _reserve(self, tx: Tx, job: Job, budget: QueueBudget | None) -> None:
        assert job.quote is not None
        self.allowance.reserve(
            tx,
            job_id=job.id,
            project_id=job.project_id,
            quote=job.quote,
            cap=job.spec.max_cost,
            queue=budget,
        )


def would_wait(job: Job) -> bool:
    """Whether it asked to wait rather than be refused for want of money."""
    return isinstance(job.spec, StatementSpec) and job.spec.on_budget is OnBudget.WAIT


def look_again(tx: Tx, project_id: ProjectId, *, now: datetime) -> None:
    """A budget of the project was changed: those that wait for money are looked at next."""
    tx.execute(_LOOK_AGAIN, {"project": project_id, "now": now})


_PAUSE = update(jobs).where(jobs.c.id == bindparam("job")).values(not_before=bindparam("until"))
_LOOK_AGAIN = (
    update(jobs)
    .where(
        jobs.c.project_id == bindparam("project"),
        text(WAITS),
        jobs.c.attempt == 0,
        jobs.c.not_before > bindparam("now"),
    )
    .values(not_before=bindparam("now"))
)
