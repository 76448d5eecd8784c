"""A replica of the job service for tests: real database, real Sail, real money; no HTTP.

Two replicas may share a database and a warehouse. ``crash`` makes one forget what it was doing, as
a killed process would, without the cost of a process.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa

from dli.billing.allowance import PricedAllowance
from dli.billing.bills import Bill, find_bill
from dli.billing.pricebook import read_price_book
from dli.metering.ledger import UsageLedger
from jobs.canaries.canaries import Canaries, OwnImage, no_image
from jobs.canaries.shadows import Shadows, ShadowSettings
from jobs.changes import Changes
from jobs.clusters import Clusters
from jobs.engines.api import Engine, PodTerms
from jobs.engines.pool import EnginePool, PoolSettings
from jobs.engines.sail import SailEngine, SailSettings
from jobs.engines.spark import SparkEngine, SparkSettings
from jobs.execution.ending import Ending
from jobs.execution.parts import Parts
from jobs.launchers.api import Launcher
from jobs.launchers.fleet import Fleet
from jobs.launchers.local import LocalLauncher
from jobs.lifecycle.states import JobState
from jobs.preparers import Preparers
from jobs.preparing.relations import Relations
from jobs.queues.store import get
from jobs.service import JobService, JobView, QueueDef, StatementRequest, Terms
from jobs.settings import JobSettings
from storage.base.clock import SystemClock
from storage.base.ids import JobId, ProjectId, UserId
from storage.catalog.catalog import Catalog
from storage.catalog.commands import CreateDatabase
from storage.meta.database import Database
from storage.objects.folder import FolderStore
from storage.objects.locations import Locations
from storage.results.results import Results
from storage.tables.tables import Tables
from tests.support.engines import CACHE
from tests.support.jobs import PROJECT, make_queue

FAST = JobSettings(
    lease=timedelta(seconds=3),
    retry_pause=timedelta(milliseconds=50),
    refresh_after=timedelta(0),
    prepare_limit=timedelta(seconds=5),
)

OWN_IMAGE = "engines:1"

#: Minutes of work that nothing can shorten.
ENDLESS = """SELECT count(*) AS n FROM range(300000) a CROSS JOIN range(300000) b
WHERE (a.id * 31 + b.id * 17) % 1000003 = 5"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Replica:
    """One replica that runs."""

    parts: Parts
    service: JobService
    files: Path  #: a folder of which tables may be registered
    stop: threading.Event = field(default_factory=threading.Event)

    def request(self, sql: str, **changes: Any) -> StatementRequest:
        """A request of one who may write; ``changes`` are of it or of its terms."""
        terms = Terms(project_id=PROJECT, user_id=UserId("usr_1"), may_write=True)
        of_terms = {name: changes.pop(name) for name in list(changes) if hasattr(terms, name)}
        return StatementRequest(terms=replace(terms, **of_terms), sql=sql, **changes)

    def submit(self, sql: str, **changes: Any) -> JobId:
        """Submit and do not wait."""
        return self.service.submit(self.request(sql, **changes)).job.id

    def run(self, sql: str, **changes: Any) -> JobView:
        """Submit and wait for the end."""
        return self.await_end(self.submit(sql, **changes))

    def view(self, job_id: JobId) -> JobView:
        """As it is now."""
        return self.service.get(PROJECT, job_id)

    def await_end(self, job_id: JobId, seconds: float = 60) -> JobView:
        """Wait until the job is at its end."""
        states = (JobState.FINISHED, JobState.FAILED, JobState.CANCELLED)
        return self.await_state(job_id, *states, seconds=seconds)

    def await_state(self, job_id: JobId, *states: JobState, seconds: float = 60) -> JobView:
        """Wait until the job is in one of these states."""
        changed = threading.Event()
        leave = self.parts.changes.subscribe(job_id, changed.set)
        try:
            until = self.parts.clock.monotonic() + seconds
            while self.parts.clock.monotonic() < until:
                changed.clear()
                view = self.view(job_id)
                if view.job.state in states:
                    return view
                changed.wait(0.2)
        finally:
            leave()
        raise AssertionError(f"{view.job.state} after {seconds} s: {view.history}")

    def rows(self, view: JobView) -> list[dict[str, Any]]:
        """The rows of a finished statement."""
        assert view.job.state is JobState.FINISHED, view.job.failure
        assert view.manifest is not None
        batches = list(self.parts.results.batches(view.manifest))
        found: list[dict[str, Any]] = pa.Table.from_batches(
            batches, schema=view.manifest.schema
        ).to_pylist()
        return found

    def query(self, sql: str, **changes: Any) -> list[dict[str, Any]]:
        """The rows of a statement."""
        return self.rows(self.run(sql, **changes))

    def bill(self, job_id: JobId) -> Bill | None:
        """What the statement is charged, once it has ended."""
        with self.parts.database.read() as tx:
            return find_bill(tx, PROJECT, job_id)


@contextmanager
def start_replica(
    root: Path,
    database_url: str,
    *,
    name: str = "one",
    settings: JobSettings = FAST,
    pool: PoolSettings | None = None,
    loops: Sequence[str] | None = None,
    fleet: Fleet | None = None,
    engines: Sequence[Engine] = (),
    images: bool = False,
    shadow: ShadowSettings | None = None,
) -> Iterator[Replica]:
    """A replica over a database with its schema; ``loops`` names those that run, all by default.

    It closes the ``fleet``, if it gets one. ``images``: as if engines were pods, each has the
    image that its queue names, or ``OWN_IMAGE``.
    """
    database, clock = Database(database_url), SystemClock()
    files = root / "files"
    files.mkdir(parents=True, exist_ok=True)
    store = FolderStore(root / "warehouse")
    catalog = Catalog(clock)
    locations = Locations(folders=[root], s3=None, buckets=[])
    tables = Tables(database, catalog, locations, store, clock)
    launcher: Launcher = fleet or LocalLauncher(root / "runs" / name)
    clusters = Clusters(database=database, clock=clock, launcher=launcher)
    clusters.look()
    made_engines: tuple[Engine, ...] = (
        SailEngine(SailSettings()),
        SparkEngine(SparkSettings(cache=CACHE, quick_compiler=True)),
    )
    pool_settings = pool or PoolSettings(owner=name, improve=False)
    own_image = _own_images(database) if images else no_image
    canaries = Canaries(database, clock, own_image=own_image, possible=images)
    results = Results(database, store, clock)
    made_pool = EnginePool(
        database,
        engines or made_engines,
        launcher,
        clock,
        pool_settings,
        terms=lambda project_id, queue: PodTerms(
            image=own_image(project_id, queue), clusters=_weights(database, project_id, queue)
        ),
        images=canaries.images,
        clusters=clusters,
    )
    shadows = Shadows(
        database=database,
        canaries=canaries,
        pool=made_pool,
        results=results,
        clock=clock,
        engine_cu=settings.engine_cu,
        settings=shadow,
    )
    parts = Parts(
        replica=name,
        database=database,
        clock=clock,
        catalog=catalog,
        tables=tables,
        results=results,
        store=store,
        pool=made_pool,
        launcher=launcher,
        ending=Ending(allowance=PricedAllowance(read_price_book(), clock), sink=UsageLedger()),
        changes=Changes(database),
        canaries=canaries,
        shadows=shadows,
        settings=settings,
        clusters=clusters,
    )
    relations = Relations(
        database=database, catalog=catalog, tables=tables, refresh_after=settings.refresh_after
    )
    preparers = Preparers(
        relations=relations, count=1, limit=settings.prepare_limit, memory=settings.prepare_memory
    )
    service = JobService(parts, preparers)
    _furnish(parts, service)
    made = Replica(parts=parts, service=service, files=files)
    threads = [
        threading.Thread(target=loop.run, args=(made.stop,), name=f"{name}-{loop.name}")
        for loop in service.loops()
        if loops is None or loop.name in loops
    ]
    for thread in threads:
        thread.start()
    try:
        yield made
    finally:
        service.drain(timedelta(0))
        made.stop.set()
        for loop in service.loops():
            loop.wake.set()
        for thread in threads:
            thread.join()
        preparers.close()
        parts.pool.close()
        launcher.close()
        database.close()


def _own_images(database: Database) -> OwnImage:
    """As the documents of queues say."""

    def own_image(project_id: ProjectId, queue: str) -> str | None:
        with database.read() as tx:
            return get(tx, project_id, queue).pods.image or OWN_IMAGE

    return own_image


def _weights(database: Database, project_id: ProjectId, queue: str) -> Mapping[str, int]:
    with database.read() as tx:
        return get(tx, project_id, queue).pods.clusters


def _furnish(parts: Parts, service: JobService) -> None:
    with parts.database.transaction() as tx:
        parts.catalog.apply(tx, PROJECT, CreateDatabase(name="default", if_not_exists=True))
    if not service.queues.every(PROJECT):
        queue: QueueDef = make_queue()
        service.queues.create(queue)
