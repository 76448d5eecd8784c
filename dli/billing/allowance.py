"""Money as jobs see it: quote, reserve, settle. Implements ``jobs.usage.Allowance``."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from sqlalchemy import bindparam, insert, select, update

from dli.billing import budgets
from dli.billing.bills import ChargeState, encode_lines
from dli.billing.money import Money
from dli.billing.pricebook import PriceBook
from dli.billing.rating import rate
from dli.billing.rows import charges
from jobs.usage import CapExceededError, QueueBudget, Quote
from storage.base.clock import Clock
from storage.base.errors import BrokenError
from storage.base.ids import JobId, ProjectId
from storage.meta.database import Tx
from storage.meta.prepared import Prepared

#: Built once: these run for every statement.
_RESERVED = Prepared(select(charges.c.job_id).where(charges.c.job_id == bindparam("job")))
_RESERVE = Prepared(insert(charges))
_SETTLE = Prepared(
    update(charges)
    .where(
        charges.c.job_id == bindparam("job"),
        charges.c.project_id == bindparam("project"),
        charges.c.state == ChargeState.RESERVED.value,
    )
    .values(state=bindparam("new_state"), settled_at=bindparam("now"))
    .returning(charges.c.month, charges.c.currency, charges.c.amount, charges.c.queue)
)


class QuoteChangedError(BrokenError):
    """The price list was edited in the past: a quote can no longer be repeated."""

    code = "quote_not_repeatable"


class PricedAllowance:
    """An allowance over one price book and the project's budgets."""

    def __init__(self, book: PriceBook, clock: Clock) -> None:
        self._book = book
        self._clock = clock

    def quote(self, *, price_class: str, quantities: Mapping[str, int], at: datetime) -> Quote:
        """The price of ``quantities`` by the prices in force ``at`` that moment. No I/O."""
        rated = rate(self._book, price_class=price_class, quantities=quantities, at=at)
        return Quote(
            amount=rated.total.nanos,
            currency=rated.total.currency,
            price_class=price_class,
            priced_at=at,
            quantities=dict(quantities),
        )

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
        """Set the quoted money aside; see ``jobs.usage.Allowance.reserve``.

        The lines of the later bill are written down now, by the same function and prices as the
        quote, and compared with it: a quote that the price list no longer gives is refused.
        """
        price = Money(quote.currency, quote.amount)
        if cap is not None and quote.amount > cap:
            raise CapExceededError(
                f"the statement costs {price.amount} {price.currency}, its cap is "
                f"{Money(price.currency, cap).amount}",
                hint="raise max_cost, or read fewer columns and partitions",
                price=price.amount,
                cap=Money(price.currency, cap).amount,
                currency=price.currency,
            )
        if _RESERVED.first(tx, {"job": job_id}):
            return
        rated = rate(
            self._book,
            price_class=quote.price_class,
            quantities=quote.quantities,
            at=quote.priced_at,
        )
        if rated.total != price:
            raise QuoteChangedError(
                f"the quote of {job_id} was {price.amount}, the price list now says "
                f"{rated.total.amount}",
                hint="price entries that were in force must not be edited; add a dated one",
            )
        month = budgets.month_of(quote.priced_at)
        if price.nanos:
            budgets.hold(tx, project_id, month, price)
            if queue is not None:
                budgets.hold_of_queue(tx, project_id, queue, month, price)
        _RESERVE.run(
            tx,
            {
                "job_id": job_id,
                "project_id": project_id,
                "month": month,
                "state": ChargeState.RESERVED.value,
                "currency": price.currency,
                "amount": price.nanos,
                "price_class": quote.price_class,
                "lines": encode_lines(rated.lines),
                "priced_at": quote.priced_at,
                "queue": None if queue is None else queue.queue,
            },
        )

    def settle(
        self, tx: Tx, *, job_id: JobId, project_id: ProjectId, quote: Quote, billable: bool
    ) -> None:
        """Turn the reservation into the bill, or give it back; once, a repeat changes nothing."""
        state = ChargeState.BILLED if billable else ChargeState.RELEASED
        settled = _SETTLE.first(
            tx,
            {
                "job": job_id,
                "project": project_id,
                "new_state": state.value,
                "now": self._clock.now(),
            },
        )
        if settled is None or not settled.amount:
            return
        amount = Money(settled.currency, settled.amount)
        budgets.release(tx, project_id, settled.month, amount, spent=billable)
        if settled.queue is not None:
            month, queue = settled.month, settled.queue
            budgets.release_of_queue(tx, project_id, queue, month, amount, spent=billable)
