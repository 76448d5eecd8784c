"""The loop that looks for new objects. Only where users may read: ``Locations`` decides."""

from __future__ import annotations

import hashlib
import logging
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Protocol

from jobs.firings import store as firing_store
from jobs.firings.references import resolve
from jobs.firings.spec import LABEL_TRIGGER, Firing, FiringState
from jobs.triggers import store
from jobs.triggers.spec import ObjectAppears, Trigger
from storage.base.clock import Clock
from storage.base.errors import Failure, ServiceError
from storage.base.ids import new_id
from storage.meta.database import Database
from storage.objects.api import ObjectInfo

log = logging.getLogger(__name__)

_AT_ONCE = 500  # objects of one look that are fired; the next look follows at once
_PATIENCE = 10  # times that a failed look took: so long is its place left alone at least

#: How long an object is known at least that is not there any more: all that was seen of a place
#: that is emptied each day would be too much.
_REMEMBERED = timedelta(days=30)


class Places(Protocol):
    """Where objects are; ``storage.objects.locations.Locations``."""

    def files(self, text: str) -> list[ObjectInfo]:
        """The files of a place; each ``key`` is an absolute URI."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Watcher:
    """A tick that any replica may run, and any of its threads.

    A store that does not answer keeps its thread for as long as the client waits. So no place is
    looked at by two threads of a replica, and what failed after a long wait is left alone for
    longer: a few such places leave threads for all others.
    """

    database: Database
    clock: Clock
    places: Places
    submits: threading.Event
    wake: threading.Event = field(default_factory=threading.Event)
    _looking: set[str] = field(default_factory=set)  #: ids of triggers that a thread looks for
    _lock: threading.Lock = field(default_factory=threading.Lock)  #: guards ``_looking``

    def tick(self) -> int:
        """Look at one place, if one is to be looked at."""
        now = self.clock.now()
        with self._lock:
            others = tuple(self._looking)
        with self.database.read() as tx:
            if not store.any_poll(tx, now=now, but=others):
                return 0
        with self.database.transaction() as tx:
            trigger = store.claim_poll(tx, now=now, but=others)
        if trigger is None:
            return 0
        with self._lock:
            self._looking.add(trigger.id)
        try:
            self._look(trigger, now)
        finally:
            with self._lock:
                self._looking.discard(trigger.id)
        return 1

    def _look(self, trigger: Trigger, now: datetime) -> None:
        assert isinstance(trigger.on, ObjectAppears)
        begun = self.clock.monotonic()
        try:
            found = self.places.files(trigger.on.prefix)
        except ServiceError as error:
            log.warning("no look for objects", extra={"trigger": trigger.id, "code": error.code})
            took = timedelta(seconds=self.clock.monotonic() - begun)
            next_at = now + max(trigger.on.every, took + _PATIENCE * took)
            with self.database.transaction() as tx:
                store.polled(tx, trigger.id, at=now, error=Failure.of(error), next_at=next_at)
            return
        self._see(trigger, trigger.on, found, now)

    def _see(
        self, trigger: Trigger, on: ObjectAppears, found: Sequence[ObjectInfo], now: datetime
    ) -> None:
        """Fire what is new. The first look only remembers, unless what exists counts as new."""
        by_digest = {digest_of(info): info for info in found}
        with self.database.read() as tx:
            fresh = store.unseen(tx, trigger.id, list(by_digest))
        ordered = [digest for digest in by_digest if digest in fresh]
        remembers = trigger.polled_at is None and not on.existing
        now_seen = ordered if remembers else ordered[:_AT_ONCE]
        with self.database.transaction() as tx:
            if store.by_id(tx, trigger.id) is None:
                return  # deleted meanwhile
            marked = store.see(tx, trigger.id, now_seen, at=now)
            fired: list[Firing] = []
            if not remembers:
                new = [digest for digest in now_seen if digest in marked]
                fired = [_firing(trigger, digest, by_digest[digest], now) for digest in new]
                firing_store.add(tx, fired)
            if _is_hourly(trigger, now):
                store.forget_gone(tx, trigger.id, by_digest, before=now - _REMEMBERED, at=now)
            again = len(now_seen) < len(ordered)
            store.polled(tx, trigger.id, at=now, error=None, next_at=now if again else None)
        if fired:
            log.info("new objects", extra={"trigger": trigger.id, "count": len(fired)})
            self.submits.set()


def _is_hourly(trigger: Trigger, now: datetime) -> bool:
    """Whether it is the first look of an hour."""
    last = trigger.polled_at
    return last is not None and (last.date(), last.hour) != (now.date(), now.hour)


def digest_of(info: ObjectInfo) -> str:
    """Tells apart objects, and an object from what it was before."""
    return hashlib.sha256(f"{info.key}\n{info.etag}".encode()).hexdigest()


def _firing(trigger: Trigger, digest: str, info: ObjectInfo, at: datetime) -> Firing:
    values = {
        "object_uri": info.key,
        "object_size": info.size,
        "due_at": at,
        "due_date": at.date(),
    }
    return Firing(
        id=new_id("fir", at),
        project_id=trigger.project_id,
        source_id=trigger.id,
        cause=digest,
        due_at=at,
        state=FiringState.PENDING,
        user_id=trigger.user_id,
        created_at=at,
        document=resolve(trigger.document, values),
        labels={LABEL_TRIGGER: trigger.name},
    )
