"""What statements run on: the engines, the pool that keeps them, and canaries of their images."""

from __future__ import annotations

from dli.grounds import access_of, ground_of, terms_of
from dli.settings.loading import Settings
from dli.wiring.storage import Stored, presence_in, s3_of
from jobs.canaries.canaries import Canaries
from jobs.canaries.shadows import Shadows, ShadowSettings
from jobs.clusters import Clusters
from jobs.engines.api import Engine
from jobs.engines.members import PoolSettings
from jobs.engines.pool import EnginePool
from jobs.engines.sail import SailEngine, SailSettings
from jobs.engines.spark import SparkEngine, SparkSettings
from jobs.launchers.api import Launcher
from jobs.lifecycle.spec import EngineName
from jobs.settings import JobSettings


def make_canaries(settings: Settings, stored: Stored) -> Canaries:
    """Possible only where engines have images."""
    terms = terms_of(settings, stored.database)
    return Canaries(
        stored.database,
        stored.clock,
        own_image=lambda project_id, queue: terms(project_id, queue).image,
        possible=ground_of(settings).pods,
        kept=settings.canary_trials_kept,
    )


def make_pool(
    settings: Settings,
    stored: Stored,
    *,
    launcher: Launcher,
    clusters: Clusters,
    canaries: Canaries,
    replica: str,
) -> EnginePool:
    """The engines of this replica; none is started yet."""
    return EnginePool(
        stored.database,
        _engines(settings, stored),
        launcher,
        stored.clock,
        _pool_settings(settings, replica),
        terms=terms_of(settings, stored.database),
        access=access_of(settings, stored.database),
        clusters=clusters,
        images=canaries.images,
    )


def make_shadows(
    settings: Settings,
    stored: Stored,
    *,
    canaries: Canaries,
    pool: EnginePool,
    job_settings: JobSettings,
) -> Shadows:
    """What repeats queries on canaries and compares the answers."""
    return Shadows(
        database=stored.database,
        canaries=canaries,
        pool=pool,
        results=stored.results,
        clock=stored.clock,
        engine_cu=job_settings.engine_cu,
        settings=ShadowSettings(
            timeout=settings.canary_shadow_timeout, max_bytes=settings.canary_shadow_bytes
        ),
    )


def _engines(settings: Settings, stored: Stored) -> tuple[Engine, ...]:
    ground = ground_of(settings)
    sail = SailSettings(
        environment=stored.locations.engine_environment(),
        present=presence_in(stored) if settings.s3_endpoint else None,
        ground=ground,
    )
    spark = SparkSettings(
        cache=settings.engine_cache,
        java_home=settings.java_home,
        ground=ground,
        s3=s3_of(settings) if ground.pods else None,
        store=stored.warehouse,
    )
    return SailEngine(sail), SparkEngine(spark)


def _pool_settings(settings: Settings, replica: str) -> PoolSettings:
    return PoolSettings(
        owner=replica,
        memory={
            EngineName.SAIL: settings.sail_memory,
            EngineName.SPARK: settings.spark_memory,
        },
        cores=settings.engine_cores,
        statements=settings.engine_statements,
        idle=settings.engine_idle,
        max_age=settings.engine_max_age,
        max_statements=settings.engine_max_statements,
        start_timeout=settings.engine_start_timeout,
    )
