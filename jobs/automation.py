"""What happens by itself: schedules, triggers, notifications, and the loops that drive them."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from datetime import datetime, timedelta

from jobs.documents import JobDocuments
from jobs.execution.ending import Notices
from jobs.firings import store as firing_store
from jobs.firings.spec import Authors
from jobs.firings.submitting import Lateness, Submits, nobody_asks
from jobs.loops.runner import Loop
from jobs.notices.delivery import Deliveries, forget_old
from jobs.notices.outbox import Outbox
from jobs.notices.service import Webhooks
from jobs.notices.targets import Targets
from jobs.schedules.firing import Cancel, Ticker
from jobs.schedules.service import Schedules
from jobs.triggers.endings import Endings
from jobs.triggers.objects import Watcher
from jobs.triggers.service import Triggers
from storage.base.clock import Clock
from storage.meta.database import Database
from storage.objects.locations import Locations

_SUBMITTERS = 4  # threads that submit: a submit waits for a child that parses
_WATCHERS = 4  # threads that look for objects: some may wait for stores that are slow
_SENDERS = 4  # threads that notify: some may wait for targets that are slow
_IDLE = timedelta(seconds=1)
_WORST = timedelta(seconds=5)
_SWEEP = timedelta(minutes=10)


@dataclass(frozen=True, slots=True, kw_only=True)
class News:
    """Made before the jobs, which tell it of their ends; ``Automation`` is made after them."""

    clock: Clock
    outbox: Outbox
    endings: Endings

    @classmethod
    def make(cls, clock: Clock) -> News:
        """For one replica."""
        endings = Endings(clock=clock, submits=threading.Event())
        return cls(clock=clock, outbox=Outbox(clock=clock), endings=endings)

    @property
    def notices(self) -> tuple[Notices, ...]:
        """Who hears of jobs that end."""
        return (self.outbox, self.endings)


@dataclass(frozen=True, slots=True, kw_only=True)
class Automation:
    """The doors to schedules, triggers and webhooks of one replica."""

    database: Database
    clock: Clock
    schedules: Schedules
    triggers: Triggers
    webhooks: Webhooks
    submits: Submits
    firings_kept: timedelta = timedelta(days=30)  #: after their end
    deliveries_kept: timedelta = timedelta(days=30)  #: likewise

    @classmethod
    def make(
        cls,
        *,
        database: Database,
        documents: JobDocuments,
        authors: Authors,
        cancel: Cancel,
        locations: Locations,
        targets: Targets,
        news: News,
        lateness: Lateness = nobody_asks,
        firings_kept: timedelta = timedelta(days=30),
        deliveries_kept: timedelta = timedelta(days=30),
    ) -> Automation:
        """``cancel`` ends the job that a newer one replaces, ``lateness`` is told of firings."""
        clock, endings, outbox = news.clock, news.endings, news.outbox
        pending = endings.submits
        submits = Submits(
            database=database,
            clock=clock,
            documents=documents,
            authors=authors,
            news=outbox,
            wake=pending,
            lateness=lateness,
        )
        ticker = Ticker(database=database, clock=clock, cancel=cancel, submits=pending)
        watcher = Watcher(database=database, clock=clock, places=locations, submits=pending)
        deliveries = Deliveries(database=database, clock=clock, targets=targets, wake=outbox.wake)
        return cls(
            database=database,
            clock=clock,
            schedules=Schedules(database=database, clock=clock, documents=documents, ticker=ticker),
            triggers=Triggers(
                database=database,
                clock=clock,
                documents=documents,
                places=locations,
                watcher=watcher,
                endings=endings,
                submits=pending,
            ),
            webhooks=Webhooks(database=database, clock=clock, outbox=outbox, deliveries=deliveries),
            submits=submits,
            firings_kept=firings_kept,
            deliveries_kept=deliveries_kept,
        )

    def loops(self) -> tuple[Loop, ...]:
        """The background work of this replica; the caller gives each a thread."""
        ticker, watcher = self.schedules.ticker, self.triggers.watcher
        deliveries = self.webhooks.deliveries
        ticks = [
            ("schedules", ticker.tick, ticker.idle, ticker.wake),
            *(
                (f"objects-{number}", watcher.tick, _IDLE, watcher.wake)
                for number in range(_WATCHERS)
            ),
            *(
                (f"submits-{number}", self.submits.tick, _IDLE, self.submits.wake)
                for number in range(_SUBMITTERS)
            ),
            *(
                (f"notices-{number}", deliveries.tick, _IDLE, deliveries.wake)
                for number in range(_SENDERS)
            ),
            ("automation-sweep", self.sweep, _SWEEP, threading.Event()),
        ]
        return tuple(
            Loop(name=name, tick=tick, clock=self.clock, idle=idle, worst=_WORST, wake=wake)
            for name, tick, idle, wake in ticks
        )

    def sweep(self) -> int:
        """Forget some of what ended long ago; how much of it."""
        now: datetime = self.clock.now()
        with self.database.transaction() as tx:
            done = firing_store.forget(tx, before=now - self.firings_kept)
        return done + forget_old(self.database, now, kept=self.deliveries_kept)
