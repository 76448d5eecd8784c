"""The door to triggers: create, pause, look back, delete; and the one for signed requests."""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Protocol

from jobs import signing
from jobs.documents import JobDocuments
from jobs.firings import store as firing_store
from jobs.firings.checking import check_held
from jobs.firings.references import resolve
from jobs.firings.spec import LABEL_TRIGGER, Firing, FiringState, SkipReason
from jobs.triggers import store
from jobs.triggers.endings import Endings
from jobs.triggers.objects import Watcher
from jobs.triggers.spec import (
    HookCalled,
    ObjectAppears,
    PayloadInvalidError,
    Trigger,
    validated,
)
from storage.base.clock import Clock
from storage.base.ids import ProjectId, new_id
from storage.meta.database import Database
from storage.meta.paging import Page

#: Bytes of a signed request's body.
MOST_PAYLOAD = 64 * 2**10


class Allowed(Protocol):
    """Whether a place may be read; ``storage.objects.locations.Locations``."""

    def resolve(self, text: str) -> object:
        """Raises for a place that users may not read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """A request to a trigger's address; headers that are missing are None."""

    timestamp: str | None
    delivery: str | None
    signature: str | None
    body: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Triggers:
    """Triggers of all projects. Methods are safe to call from any thread."""

    database: Database
    clock: Clock
    documents: JobDocuments
    places: Allowed
    watcher: Watcher
    endings: Endings
    submits: threading.Event

    def create(self, trigger: Trigger) -> Trigger:
        """Raises ``TriggerInvalidError``, ``TriggerExistsError``, what the check of the document
        raises, and for a place that may not be read. A webhook's secret is in the answer."""
        made = validated(trigger)
        if isinstance(made.on, ObjectAppears):
            self.places.resolve(made.on.prefix)
        if isinstance(made.on, HookCalled):
            made = replace(made, secret=signing.new_secret())
        check_held(self.documents, made.project_id, made.document, made.names)
        with self.database.transaction() as tx:
            store.create(tx, made)
        self._changed()
        return made

    def list(self, project_id: ProjectId) -> tuple[Trigger, ...]:
        """Those of the project, by name."""
        with self.database.read() as tx:
            return store.every(tx, project_id)

    def get(self, project_id: ProjectId, name: str) -> Trigger:
        """Raises ``TriggerMissingError``."""
        with self.database.read() as tx:
            return store.get(tx, project_id, name)

    def set_paused(self, project_id: ProjectId, name: str, paused: bool) -> Trigger:
        """A paused trigger takes no notice of jobs, skips webhooks, and looks for no objects."""
        with self.database.transaction() as tx:
            trigger = store.get(tx, project_id, name)
            if trigger.paused is not paused:
                store.set_paused(tx, trigger, paused, now=self.clock.now())
        self._changed()
        return replace(trigger, paused=paused)

    def delete(self, project_id: ProjectId, name: str) -> None:
        """With its firings; jobs that run go on. Raises ``TriggerMissingError``."""
        with self.database.transaction() as tx:
            trigger = store.get(tx, project_id, name)
            store.remove(tx, trigger.id)
            firing_store.remove(tx, trigger.id)
        self._changed()

    def firings(
        self, project_id: ProjectId, name: str, *, cursor: str | None, limit: int
    ) -> Page[Firing]:
        """What it has fired, newest first. Raises ``TriggerMissingError``."""
        with self.database.read() as tx:
            trigger = store.get(tx, project_id, name)
            return firing_store.page(tx, trigger.id, cursor=cursor, limit=limit)

    def call(self, trigger_id: str, call: Call) -> Firing:
        """Take a signed request: the firing it causes, once for each delivery.

        Raises ``SignatureInvalidError``, also where there is no such trigger, and
        ``PayloadInvalidError``.
        """
        with self.database.read() as tx:
            trigger = store.by_id(tx, trigger_id)
        now = self.clock.now()
        delivery = signing.check_signature(
            None if trigger is None else trigger.secret,
            timestamp=call.timestamp,
            delivery=call.delivery,
            signature=call.signature,
            body=call.body,
            now=now,
        )
        assert trigger is not None, "without a trigger no signature fits"
        values = {
            "delivery_id": delivery,
            "due_at": now,
            "due_date": now.date(),
            "payload": payload_of(call.body),
        }
        made = Firing(
            id=new_id("fir", now),
            project_id=trigger.project_id,
            source_id=trigger.id,
            cause=delivery,
            due_at=now,
            state=FiringState.SKIPPED if trigger.paused else FiringState.PENDING,
            reason=SkipReason.PAUSED if trigger.paused else None,
            user_id=trigger.user_id,
            created_at=now,
            document=resolve(trigger.document, values),
            labels={LABEL_TRIGGER: trigger.name},
        )
        with self.database.transaction() as tx:
            if not firing_store.add_one(tx, made):
                return firing_store.by_cause(tx, trigger.id, [delivery])[0]
        self.submits.set()
        return made

    def _changed(self) -> None:
        self.endings.forget()
        self.watcher.wake.set()


def payload_of(body: bytes) -> Mapping[str, Any]:
    """The JSON object of a body; an empty one for no body. Raises ``PayloadInvalidError``."""
    if not body:
        return {}
    try:
        found = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise PayloadInvalidError("the body is not JSON", hint="send an object") from error
    if not isinstance(found, dict):
        raise PayloadInvalidError("the body is JSON, but no object", hint='send {"…": …}')
    return found
