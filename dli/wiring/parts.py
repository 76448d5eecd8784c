"""What every kind of job needs, in one value."""

from __future__ import annotations

from dli.billing.allowance import PricedAllowance
from dli.grounds import executors_of
from dli.home import replica_name
from dli.metering.ledger import UsageLedger
from dli.observability.metrics import Metrics
from dli.observability.observed import ObservedAllowance, ObservedSink
from dli.settings.loading import Settings
from dli.wiring.engines import make_canaries, make_pool, make_shadows
from dli.wiring.launchers import open_launcher
from dli.wiring.storage import Stored
from jobs.automation import News
from jobs.changes import Changes
from jobs.clusters import Clusters
from jobs.execution.ending import Ending
from jobs.execution.parts import Parts
from jobs.lifecycle.spec import EngineName
from jobs.settings import JobSettings


def make_parts(
    settings: Settings,
    stored: Stored,
    *,
    allowance: PricedAllowance,
    metrics: Metrics,
    news: News,
    works: bool,
) -> Parts:
    """The parts of a replica; one that does not work has no seats for jobs."""
    replica = replica_name(settings.folder)
    launcher = open_launcher(settings, stored, replica=replica)
    clusters = Clusters(database=stored.database, clock=stored.clock, launcher=launcher)
    canaries = make_canaries(settings, stored)
    pool = make_pool(
        settings,
        stored,
        launcher=launcher,
        clusters=clusters,
        canaries=canaries,
        replica=replica,
    )
    limits = _limits(settings, workers=settings.workers if works else 0)
    return Parts(
        replica=replica,
        database=stored.database,
        clock=stored.clock,
        catalog=stored.catalog,
        tables=stored.tables,
        results=stored.results,
        store=stored.warehouse,
        pool=pool,
        launcher=launcher,
        ending=Ending(
            allowance=ObservedAllowance(allowance, metrics, stored.clock),
            sink=ObservedSink(UsageLedger(), metrics),
            notices=news.notices,
        ),
        changes=Changes(stored.database),
        clusters=clusters,
        canaries=canaries,
        shadows=make_shadows(settings, stored, canaries=canaries, pool=pool, job_settings=limits),
        settings=limits,
    )


def _limits(settings: Settings, *, workers: int) -> JobSettings:
    return JobSettings(
        lease=settings.lease,
        workers=workers,
        run_workers=settings.run_workers if workers else 0,
        pipeline_workers=settings.pipeline_workers if workers else 0,
        run_lease=settings.run_lease,
        run_start_timeout=settings.run_start_timeout,
        max_attempts=settings.max_attempts,
        max_timeout=settings.max_timeout,
        result_ttl=settings.result_ttl,
        max_result_ttl=settings.max_result_ttl,
        max_rows=settings.max_rows,
        max_result_bytes=settings.max_result_bytes,
        refresh_after=settings.refresh_after,
        engine_cu=dict.fromkeys(EngineName, settings.engine_cores),
        executors_cu={EngineName.SPARK: _executor_cores(settings)},
        engine_memory={
            EngineName.SAIL: settings.sail_memory,
            EngineName.SPARK: _spark_memory(settings),
        },
        preparers=settings.preparers,
        prepare_limit=settings.prepare_limit,
        prepare_memory=settings.prepare_memory,
    )


def _spark_memory(settings: Settings) -> int:
    """What a Spark engine takes at least: its driver, and the executors that it keeps."""
    executors = executors_of(settings)
    if executors is None:
        return settings.spark_memory
    return settings.spark_memory + max(executors.least, 1) * executors.size.memory_bytes


def _executor_cores(settings: Settings) -> int:
    executors = executors_of(settings)
    return 0 if executors is None else max(executors.least, 1) * executors.size.cores
