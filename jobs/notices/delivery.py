"""Sends what is in the outbox: at least once, again after a pause, and no longer than a bound."""

from __future__ import annotations

import json
import logging
import random
import threading
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from jobs import signing
from jobs.crash import crash_point
from jobs.notices import store
from jobs.notices.spec import Delivery, DeliveryState, Webhook
from jobs.notices.targets import TargetForbiddenError, Targets
from storage.base.clock import Clock
from storage.base.errors import Failure, ServiceError
from storage.meta.database import Database

log = logging.getLogger(__name__)

#: Twelve attempts in about a day and a half: 10 s, 30 s, 1 m 30 s, … at most 6 h between two.
MOST_ATTEMPTS = 12
_FIRST_PAUSE = timedelta(seconds=10)
_LONGEST_PAUSE = timedelta(hours=6)
_SPARE = timedelta(seconds=5)  # beside what an attempt may take, before another is made


@dataclass(frozen=True, slots=True, kw_only=True)
class Deliveries:
    """A tick that any replica may run, in several threads."""

    database: Database
    clock: Clock
    targets: Targets
    wake: threading.Event = field(default_factory=threading.Event)

    def tick(self) -> int:
        """Send one of those that are due."""
        now = self.clock.now()
        with self.database.read() as tx:
            if not store.any_due(tx, now=now):
                return 0
        with self.database.transaction() as tx:
            delivery = store.claim(tx, now=now, until=now + self.targets.longest + _SPARE)
            webhook = None if delivery is None else store.by_id(tx, delivery.webhook_id)
            if delivery is not None and webhook is None:
                # Posted by one who knew it for a moment longer (``Outbox``) than it was there.
                store.drop(tx, delivery.webhook_id)
        if delivery is None or webhook is None:
            return 0
        tried = self._attempt(delivery, webhook)
        with self.database.transaction() as tx:
            store.settle(tx, tried)
            if tried.state is not DeliveryState.DELIVERED:
                # One try is enough to know: the others do not wait for a target that is away.
                store.postpone(tx, webhook.id, until=self.clock.now() + _FIRST_PAUSE)
        return 1

    def _attempt(self, delivery: Delivery, webhook: Webhook) -> Delivery:
        """One try, and what becomes of the delivery."""
        tried = replace(delivery, attempts=delivery.attempts + 1)
        try:
            status = self._send(delivery, webhook)
        except ServiceError as error:
            return self._failed(tried, error)
        crash_point("after_delivery")
        return replace(
            tried,
            state=DeliveryState.DELIVERED,
            status=status,
            error=None,
            next_at=None,
            ended_at=self.clock.now(),
        )

    def _send(self, delivery: Delivery, webhook: Webhook) -> int:
        body = json.dumps(delivery.body, separators=(",", ":"), ensure_ascii=False).encode()
        timestamp = int(self.clock.now().timestamp())
        signature = signing.signature_of(
            webhook.secret, timestamp=timestamp, delivery=delivery.id, body=body
        )
        return self.targets.post(
            webhook.url,
            body=body,
            headers={
                "Content-Type": "application/json",
                "User-Agent": "dli-webhooks/1",
                signing.EVENT: delivery.event.value,
                signing.DELIVERY: delivery.id,
                signing.TIMESTAMP: str(timestamp),
                signing.SIGNATURE: signature,
            },
        )

    def _failed(self, tried: Delivery, error: ServiceError) -> Delivery:
        now = self.clock.now()
        status = error.details.get("status")
        dead = tried.attempts >= MOST_ATTEMPTS or isinstance(error, TargetForbiddenError)
        log.log(
            logging.WARNING if dead else logging.INFO,
            "notification not delivered",
            extra={"delivery": tried.id, "attempt": tried.attempts, "code": error.code},
        )
        return replace(
            tried,
            state=DeliveryState.DEAD if dead else DeliveryState.PENDING,
            status=status if isinstance(status, int) else None,
            error=Failure.of(error),
            next_at=None if dead else now + pause_after(tried.attempts),
            ended_at=now if dead else None,
        )


def pause_after(attempts: int) -> timedelta:
    """Triples with each attempt; between half and all of that, so that crowds disperse."""
    longest: timedelta = min(_FIRST_PAUSE * 3 ** min(attempts - 1, 12), _LONGEST_PAUSE)
    return longest * random.uniform(0.5, 1.0)  # noqa: S311  jitter, no secret


def forget_old(database: Database, now: datetime, *, kept: timedelta) -> int:
    """Drop some of what ended longer ago than ``kept``; how many."""
    with database.transaction() as tx:
        return store.forget(tx, now=now, kept=kept)
