"""All parts of a running service in one frozen value; ``wiring`` makes it."""

from __future__ import annotations

import threading
from dataclasses import dataclass

from dli.billing.allowance import PricedAllowance
from dli.billing.pricebook import PriceBook
from dli.identity.identity import Identity
from dli.observability.metrics import Metrics
from dli.settings.loading import Settings
from jobs.automation import Automation
from jobs.batches.submitting import Batches
from jobs.changes import Changes
from jobs.clusters import Clusters
from jobs.engines.pool import EnginePool
from jobs.files import Files
from jobs.loops.runner import Loop
from jobs.pipelines.service import Pipelines
from jobs.service import JobService
from jobs.tasks.submitting import Tasks
from storage.base.clock import Clock
from storage.catalog.catalog import Catalog
from storage.meta.database import Database
from storage.results.results import Results
from storage.tables.tables import Tables


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """What the entrances call. Every part may be used from any thread."""

    settings: Settings
    clock: Clock
    database: Database
    catalog: Catalog
    tables: Tables
    results: Results
    pool: EnginePool
    jobs: JobService
    clusters: Clusters
    batches: Batches
    tasks: Tasks
    files: Files
    automation: Automation
    pipelines: Pipelines
    changes: Changes
    identity: Identity
    book: PriceBook
    allowance: PricedAllowance
    metrics: Metrics
    loops: tuple[Loop, ...]  #: background work, each wants a thread
    stopping: threading.Event  #: set when the service begins to stop: no new work
    closing: threading.Event  #: set at the end: whoever waits is answered now
