"""What ``jobs`` tells of quantities and asks of money, as protocols that ``dli`` implements."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from storage.base.errors import RefusedError
from storage.base.ids import JobId, ProjectId
from storage.meta.database import Tx

#: Meters of a statement. Both are integers: bytes, and milliseconds of one compute unit.
SCAN_BYTES = "scan.bytes"
COMPUTE_CU_MILLIS = "compute.cu_ms"


class CapExceededError(RefusedError):
    """The statement's own cap in money is below its price."""

    code = "cost_cap_exceeded"


class BudgetExceededError(RefusedError):
    """The project's month has no money left for this statement."""

    code = "budget_exceeded"


@dataclass(frozen=True, slots=True, kw_only=True)
class UsageRecord:
    """How much of a meter a job used. The same (job, attempt, meter) twice counts once."""

    job_id: JobId
    project_id: ProjectId
    attempt: int
    meter: str
    quantity: int
    at: datetime  #: the end of the use; its UTC hour is the one that is billed


class UsageSink(Protocol):
    """Where usage is written down."""

    def record(self, tx: Tx, records: Sequence[UsageRecord]) -> None:
        """Keep ``records`` in the caller's transaction; one that is there is not doubled."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Quote:
    """A price for quantities at one moment, and by which prices, so that the bill can repeat it."""

    amount: int  #: nanos (1e-9) of ``currency``
    currency: str
    price_class: str
    priced_at: datetime  #: the prices in force at this moment count, for the quote and for the bill
    quantities: Mapping[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueBudget:
    """What the jobs of a queue may cost in a UTC month: nanos."""

    queue: str
    monthly: int


class Allowance(Protocol):
    """Money, as far as a job must know of it."""

    def quote(self, *, price_class: str, quantities: Mapping[str, int], at: datetime) -> Quote:
        """The price of ``quantities`` by the prices in force ``at`` that moment. No I/O."""

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
        """Set the quoted money aside in the project's month, before anything starts.

        ``cap`` is the statement's own, in nanos; ``queue`` is given if it has a budget of its own.
        Raises ``CapExceededError`` and ``BudgetExceededError``; nothing is kept then. A second
        reserve of a job changes nothing.
        """

    def settle(
        self, tx: Tx, *, job_id: JobId, project_id: ProjectId, quote: Quote, billable: bool
    ) -> None:
        """End the reservation: turn it into the bill of the job, or give it back.

        Called once, in the transaction that ends the job. The bill's amount is the quote's.
        """
