"""The door to webhooks: subscribe, look at what was sent, test, unsubscribe."""

from __future__ import annotations

from dataclasses import dataclass

from jobs.notices import store
from jobs.notices.delivery import Deliveries
from jobs.notices.outbox import Outbox, delivery
from jobs.notices.spec import Delivery, NoticeEvent, Webhook, validated
from storage.base.clock import Clock
from storage.base.ids import ProjectId
from storage.meta.database import Database
from storage.meta.paging import Page


@dataclass(frozen=True, slots=True, kw_only=True)
class Webhooks:
    """Webhooks of all projects. Methods are safe to call from any thread."""

    database: Database
    clock: Clock
    outbox: Outbox
    deliveries: Deliveries

    def create(self, webhook: Webhook) -> Webhook:
        """Raises ``WebhookInvalidError``, ``WebhookExistsError`` and ``TargetForbiddenError``.

        Jobs that end from now on are told of; those that end on another replica, from a second
        later on.
        """
        made = validated(webhook)
        self.deliveries.targets.check(made.url)
        with self.database.transaction() as tx:
            store.create(tx, made)
        self.outbox.forget()
        return made

    def list(self, project_id: ProjectId) -> tuple[Webhook, ...]:
        """Those of the project, by name."""
        with self.database.read() as tx:
            return store.every(tx, project_id)

    def get(self, project_id: ProjectId, name: str) -> Webhook:
        """Raises ``WebhookMissingError``."""
        with self.database.read() as tx:
            return store.get(tx, project_id, name)

    def delete(self, project_id: ProjectId, name: str) -> None:
        """With what was not delivered yet. Raises ``WebhookMissingError``."""
        with self.database.transaction() as tx:
            store.remove(tx, project_id, name)
        self.outbox.forget()

    def page(
        self, project_id: ProjectId, name: str, *, cursor: str | None, limit: int
    ) -> Page[Delivery]:
        """What was sent or is to be, newest first. Raises ``WebhookMissingError``."""
        with self.database.read() as tx:
            webhook = store.get(tx, project_id, name)
            return store.page(tx, webhook.id, cursor=cursor, limit=limit)

    def test(self, project_id: ProjectId, name: str) -> Delivery:
        """Put a notification of the event ``test`` into the outbox."""
        with self.database.transaction() as tx:
            webhook = store.get(tx, project_id, name)
            made = delivery(webhook, NoticeEvent.TEST, {}, at=self.clock.now())
            store.post(tx, [made])
        self.deliveries.wake.set()
        return made
