"""The one place that chooses implementations and puts the parts of a replica together.

Its neighbours make the parts, from the storage upwards; this is how they hang together.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from dli.billing.allowance import PricedAllowance
from dli.billing.pricebook import read_price_book
from dli.identity.identity import Identity
from dli.observability.collect import counted, watch_parts
from dli.observability.metrics import Metrics
from dli.services import Services
from dli.settings.loading import Settings
from dli.wiring.kinds import add_kinds, make_automation
from dli.wiring.loops import pipelines_loop, tidying_loops
from dli.wiring.parts import make_parts
from dli.wiring.storage import Stored, open_storage
from jobs.automation import News
from jobs.notices.targets import Targets
from jobs.preparers import Preparers
from jobs.preparing.relations import Relations
from jobs.service import JobService
from storage.base.clock import SystemClock


@contextmanager
def build(settings: Settings, *, works: bool = True) -> Iterator[Services]:
    """The parts of a replica; leaving the block closes them and ends their child processes.

    Nothing runs yet but warm children that parse: the caller migrates the database and starts the
    loops. ``works`` false: the replica takes statements, and others run them.
    """
    with ExitStack() as stack:
        stored = open_storage(settings, SystemClock())
        stack.callback(stored.database.close)
        metrics = Metrics()
        book = read_price_book(settings.prices)
        allowance = PricedAllowance(book, stored.clock)
        news = News.make(stored.clock)
        parts = make_parts(
            settings, stored, allowance=allowance, metrics=metrics, news=news, works=works
        )
        assert parts.clusters is not None
        stack.callback(parts.pool.close)
        stack.callback(parts.shadows.close)
        preparers = _preparers(settings, stored)
        stack.callback(preparers.close)
        jobs = JobService(parts, preparers)
        kinds = add_kinds(settings, stored, parts, jobs)
        targets = Targets(
            allow_private=settings.webhook_private_targets, timeout=settings.webhook_timeout
        )
        stack.callback(targets.close)
        automation = make_automation(
            settings, stored, jobs, kinds.documents, targets=targets, news=news, metrics=metrics
        )
        watch_parts(
            metrics, stored.database, parts.pool, parts.canaries, jobs.orphans, parts.clusters
        )
        loops = (
            *jobs.loops(),
            *automation.loops(),
            pipelines_loop(stored, kinds.pipelines),
            *tidying_loops(settings, stored, kinds.files),
        )
        yield Services(
            settings=settings,
            clock=stored.clock,
            database=stored.database,
            catalog=stored.catalog,
            tables=stored.tables,
            results=stored.results,
            pool=parts.pool,
            jobs=jobs,
            clusters=parts.clusters,
            batches=kinds.batches,
            tasks=kinds.tasks,
            files=kinds.files,
            automation=automation,
            pipelines=kinds.pipelines,
            changes=parts.changes,
            identity=Identity(stored.database, stored.clock),
            book=book,
            allowance=allowance,
            metrics=metrics,
            loops=tuple(counted(loop, metrics) for loop in loops),
            stopping=threading.Event(),
            closing=threading.Event(),
        )


def _preparers(settings: Settings, stored: Stored) -> Preparers:
    return Preparers(
        relations=Relations(
            database=stored.database,
            catalog=stored.catalog,
            tables=stored.tables,
            refresh_after=settings.refresh_after,
        ),
        count=settings.preparers,
        limit=settings.prepare_limit,
        memory=settings.prepare_memory,
    )
