"""The one place that chooses implementations and puts the parts of a replica together."""

from __future__ import annotations

import importlib
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path

from dli.api.documents import Documents
from dli.api.idempotency import forget_replies
from dli.billing.allowance import PricedAllowance
from dli.billing.pricebook import read_price_book
from dli.clusters import every_cluster
from dli.grounds import access_of, executors_of, ground_of, spark_of, terms_of
from dli.home import replica_name
from dli.identity.authors import MemberRights
from dli.identity.identity import Identity
from dli.metering.ledger import UsageLedger
from dli.observability.collect import counted, watch_parts
from dli.observability.metrics import Metrics
from dli.observability.observed import ObservedAllowance, ObservedSink
from dli.services import Services
from dli.settings import FILE, InvalidSettingError, Settings
from jobs.automation import Automation, News
from jobs.batches.placing import Placing
from jobs.batches.submitting import Batches
from jobs.batches.work import BatchWork
from jobs.canaries.canaries import Canaries
from jobs.canaries.shadows import Shadows, ShadowSettings
from jobs.changes import Changes
from jobs.clusters import Clusters
from jobs.engines.members import PoolSettings
from jobs.engines.pool import EnginePool
from jobs.engines.sail import SailEngine, SailSettings
from jobs.engines.spark import SparkEngine, SparkSettings
from jobs.execution.ending import Ending
from jobs.execution.parts import Parts
from jobs.files import Files, FileSettings
from jobs.launchers.api import Launcher
from jobs.launchers.fleet import Fleet
from jobs.launchers.local import LocalLauncher
from jobs.launchers.pods import ClusterSettings, PodSettings
from jobs.lifecycle.runs import DEFAULT_CLUSTER
from jobs.lifecycle.spec import EngineName, JobKind
from jobs.loops.runner import Loop
from jobs.notices.targets import Targets
from jobs.pipelines.service import Pipelines
from jobs.pipelines.submitting import RunSubmitting
from jobs.preparers import Preparers
from jobs.preparing.relations import Relations
from jobs.retention import Kept, Retention
from jobs.service import JobService
from jobs.settings import JobSettings
from jobs.tasks.commands import find_commands
from jobs.tasks.images import Images
from jobs.tasks.sandbox import Sandbox, SandboxMode, find_sandbox
from jobs.tasks.submitting import Tasks
from jobs.tasks.submitting import TaskSettings as TaskLimits
from jobs.tasks.work import TaskWork
from storage.base.clock import Clock, SystemClock
from storage.catalog.catalog import Catalog
from storage.meta.database import Database
from storage.objects.api import ObjectMissingError, ObjectStore
from storage.objects.buckets import S3Settings, bucket_store
from storage.objects.folder import FolderStore
from storage.objects.locations import Locations
from storage.results.results import Results
from storage.tables.tables import Tables

_SCHEME = "s3://"

#: What of the home is the service's own and can never be registered as a table.
OWN_FILES = (FILE, "token", "replica", "url", "lock", "meta.db", "meta.db-wal", "meta.db-shm")
OWN_FOLDERS = ("warehouse", "engines", "uploads")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Stored:
    """Everything below statements."""

    clock: Clock
    database: Database
    warehouse: ObjectStore
    locations: Locations
    catalog: Catalog
    tables: Tables
    results: Results


@contextmanager
def build(settings: Settings, *, works: bool = True) -> Iterator[Services]:
    """The parts of a replica; leaving the block closes them and ends their child processes.

    Nothing runs yet but warm children that parse: the caller migrates the database and starts the
    loops. ``works`` false: the replica takes statements, and others run them.
    """
    with ExitStack() as stack:
        stored = _storage(settings, SystemClock())
        stack.callback(stored.database.close)
        metrics = Metrics()
        book = read_price_book(settings.prices)
        allowance = PricedAllowance(book, stored.clock)
        news = News.make(stored.clock)
        parts = _parts(settings, stored, allowance, metrics, news, works=works)
        assert parts.clusters is not None
        stack.callback(parts.pool.close)
        stack.callback(parts.shadows.close)
        preparers = Preparers(
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
        stack.callback(preparers.close)
        jobs = JobService(parts, preparers)
        files = _files(settings, stored)
        batches = _add_batches(settings, parts, jobs, files)
        tasks = _add_tasks(settings, parts, jobs, files)
        targets = _targets(settings)
        stack.callback(targets.close)
        runs = RunSubmitting(
            parts=parts, accepting=jobs.accepting, queues=jobs.queues.known, once=jobs.once
        )
        documents = Documents(jobs=jobs, batches=batches, tasks=tasks, runs=runs)
        pipelines = Pipelines(parts, jobs, documents, runs, MemberRights())
        jobs.add_kind(JobKind.PIPELINE, pipelines.work)
        automation = _automation(stored, jobs, documents, targets, news, metrics, settings)
        watch_parts(
            metrics,
            stored.database,
            parts.pool,
            parts.canaries,
            jobs.orphans,
            parts.clusters,
        )
        loops = (
            *jobs.loops(),
            *automation.loops(),
            _pipelines_loop(stored, pipelines),
            _replies_loop(stored),
            _files_loop(stored, files),
            _retention_loop(settings, stored),
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
            batches=batches,
            tasks=tasks,
            files=files,
            automation=automation,
            pipelines=pipelines,
            changes=parts.changes,
            identity=Identity(stored.database, stored.clock),
            book=book,
            allowance=allowance,
            metrics=metrics,
            loops=tuple(counted(loop, metrics) for loop in loops),
            stopping=threading.Event(),
            closing=threading.Event(),
        )


def _targets(settings: Settings) -> Targets:
    return Targets(allow_private=settings.webhook_private_targets, timeout=settings.webhook_timeout)


def _automation(
    stored: _Stored,
    jobs: JobService,
    documents: Documents,
    targets: Targets,
    news: News,
    metrics: Metrics,
    settings: Settings,
) -> Automation:
    return Automation.make(
        database=stored.database,
        documents=documents,
        authors=MemberRights(),
        cancel=jobs.cancel,
        locations=stored.locations,
        targets=targets,
        news=news,
        lateness=metrics.fired,
        firings_kept=settings.firings_kept,
        deliveries_kept=settings.deliveries_kept,
    )


def _files(settings: Settings, stored: _Stored) -> Files:
    return Files(
        database=stored.database,
        store=stored.warehouse,
        locations=stored.locations,
        clock=stored.clock,
        settings=FileSettings(
            drafts=settings.folder / "uploads",
            max_upload=settings.max_upload,
            kept=settings.files_kept,
        ),
    )


def _add_batches(settings: Settings, parts: Parts, jobs: JobService, files: Files) -> Batches:
    """Batches join the kinds of jobs that the service runs."""
    work = BatchWork(
        files=files,
        spark=spark_of(settings),
        placing=Placing(
            ground=ground_of(settings, python=settings.batch_python),
            s3=_s3(settings) if settings.launcher == "kubernetes" else None,
            terms=terms_of(settings, parts.database),
            access=access_of(settings, parts.database),
        ),
    )
    jobs.add_kind(JobKind.BATCH, work.run)
    return Batches(
        parts=parts,
        accepting=jobs.accepting,
        queues=jobs.queues.known,
        files=files,
        once=jobs.once,
        enabled=settings.batches,
    )


def _add_tasks(settings: Settings, parts: Parts, jobs: JobService, files: Files) -> Tasks:
    """Tasks join the kinds of jobs; without commands or images that are allowed each is refused."""
    pods = settings.launcher == "kubernetes"
    search = None if pods else os.environ.get("PATH", os.defpath)
    commands = find_commands(settings.task_commands, search=search)
    images = Images(patterns=settings.task_images, possible=pods)
    mode = settings.task_sandbox if commands else SandboxMode.OFF
    sandbox = Sandbox(pod=True) if pods else find_sandbox(mode, settings.task_paths)
    work = TaskWork(
        files=files,
        commands=commands,
        images=images,
        sandbox=sandbox,
        terms=terms_of(settings, parts.database),
    )
    jobs.add_kind(JobKind.TASK, work.run)
    return Tasks(
        parts=parts,
        accepting=jobs.accepting,
        queues=jobs.queues.known,
        files=files,
        settings=TaskLimits(commands=commands, images=images, max_output=settings.task_max_output),
        once=jobs.once,
    )


def _storage(settings: Settings, clock: Clock) -> _Stored:
    home = settings.folder
    database = Database(settings.metadata_url)
    s3 = _s3(settings)
    warehouse = _warehouse(settings, s3)
    private = [*(home / name for name in (*OWN_FILES, *OWN_FOLDERS))]
    if database.dialect == "sqlite":
        file = Path(str(database.url.database))
        private += [file.with_name(file.name + suffix) for suffix in ("", "-wal", "-shm")]
    locations = Locations(
        folders=(home, *settings.allow_paths),
        s3=s3,
        buckets=settings.buckets,
        private=(_root(warehouse), *(f"file://{path.resolve()}" for path in private)),
    )
    catalog = Catalog(clock)
    return _Stored(
        clock=clock,
        database=database,
        warehouse=warehouse,
        locations=locations,
        catalog=catalog,
        tables=Tables(database, catalog, locations, warehouse, clock),
        results=Results(database, warehouse, clock),
    )


def _s3(settings: Settings) -> S3Settings | None:
    if settings.s3_endpoint is None:
        if settings.buckets or (settings.warehouse or "").startswith(_SCHEME):
            raise InvalidSettingError(
                "buckets are named, but no S3 service", hint="set s3_endpoint (DLI_S3_ENDPOINT)"
            )
        return None
    access, secret = settings.s3_access_key, settings.s3_secret_key
    if access is None or secret is None:
        raise InvalidSettingError("s3_endpoint needs s3_access_key and s3_secret_key")
    return S3Settings(
        endpoint=settings.s3_endpoint,
        region=settings.s3_region,
        access_key=access.get_secret_value(),
        secret_key=secret.get_secret_value(),
        secure=settings.s3_secure,
    )


def _warehouse(settings: Settings, s3: S3Settings | None) -> ObjectStore:
    place = settings.warehouse
    if place is None:
        return FolderStore(settings.folder / "warehouse")
    if place.startswith(_SCHEME) and s3 is not None:
        bucket, _, prefix = place.removeprefix(_SCHEME).partition("/")
        prefix = prefix.strip("/")
        return bucket_store(bucket, f"{prefix}/" if prefix else "", s3)
    path = Path(place.removeprefix("file://"))
    if not path.is_absolute():
        raise InvalidSettingError(
            f"warehouse {place!r} is neither an absolute folder nor s3://bucket/prefix"
        )
    return FolderStore(path)


def _root(store: ObjectStore) -> str:
    """The address of everything in a store, without a slash at the end."""
    return store.uri("x").removesuffix("/x")


def _parts(
    settings: Settings,
    stored: _Stored,
    allowance: PricedAllowance,
    metrics: Metrics,
    news: News,
    *,
    works: bool,
) -> Parts:
    replica = replica_name(settings.folder)
    launcher = _launcher(settings, stored, replica)
    clusters = Clusters(database=stored.database, clock=stored.clock, launcher=launcher)
    ground = ground_of(settings)
    engines = (
        SailEngine(
            SailSettings(
                environment=stored.locations.engine_environment(),
                present=_presence(stored) if settings.s3_endpoint else None,
                ground=ground,
            )
        ),
        SparkEngine(
            SparkSettings(
                cache=settings.engine_cache,
                java_home=settings.java_home,
                ground=ground,
                s3=_s3(settings) if ground.pods else None,
                store=stored.warehouse,
            )
        ),
    )
    terms = terms_of(settings, stored.database)
    canaries = Canaries(
        stored.database,
        stored.clock,
        own_image=lambda project_id, queue: terms(project_id, queue).image,
        possible=ground.pods,
        kept=settings.canary_trials_kept,
    )
    job_settings = _job_settings(settings, workers=settings.workers if works else 0)
    pool = EnginePool(
        stored.database,
        engines,
        launcher,
        stored.clock,
        _pool_settings(settings, replica),
        terms=terms,
        access=access_of(settings, stored.database),
        clusters=clusters,
        images=canaries.images,
    )
    shadows = Shadows(
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
        shadows=shadows,
        settings=job_settings,
    )


def _launcher(settings: Settings, stored: _Stored, replica: str) -> Launcher:
    root = settings.folder / "engines" / "runs"
    if settings.launcher == "local":
        return LocalLauncher(root)
    if isinstance(stored.warehouse, FolderStore):
        raise InvalidSettingError(
            "pods need a warehouse that they reach",
            hint="set warehouse (DLI_WAREHOUSE) to s3://bucket/prefix, or launcher to local",
        )
    if settings.kubernetes_image is None:
        raise InvalidSettingError("the kubernetes launcher needs kubernetes_image")
    pods = PodSettings(
        installation=settings.kubernetes_installation,
        namespace=settings.kubernetes_namespace,
        image=settings.kubernetes_image,
        pull_policy=settings.kubernetes_pull_policy,
        service_account=settings.kubernetes_service_account,
        scratch_bytes=settings.kubernetes_scratch,
    )
    # The cluster's client is large, and of no use to a service without a cluster.
    module = importlib.import_module("jobs.launchers.pod_launcher")

    def opened(cluster: ClusterSettings, folder: Path) -> Launcher:
        launcher: Launcher = module.open_launcher(
            cluster,
            replace(pods, namespace=cluster.namespace),
            root=folder,
            store=stored.warehouse,
            clock=stored.clock,
            owner=replica,
        )
        return launcher

    clusters = every_cluster(settings)
    if len(clusters) == 1:
        return opened(clusters[DEFAULT_CLUSTER], root)
    folders = {name: root.with_name(f"runs-{name}") for name in clusters} | {DEFAULT_CLUSTER: root}
    fleet = Fleet({name: opened(each, folders[name]) for name, each in clusters.items()})
    fleet.look()
    return fleet


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


def _job_settings(settings: Settings, *, workers: int) -> JobSettings:
    return JobSettings(
        lease=settings.lease,
        renew_every=settings.lease / 3,
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


def _presence(stored: _Stored) -> Callable[[str], bool]:
    """Whether an object that a statement is to read is there: ours, or somebody's bucket."""
    own = _root(stored.warehouse) + "/"

    def present(uri: str) -> bool:
        try:
            if uri.startswith(own):
                stored.warehouse.stat(uri.removeprefix(own))
            else:
                stored.locations.stat(uri)
        except ObjectMissingError:
            return False
        return True

    return present


def _pipelines_loop(stored: _Stored, pipelines: Pipelines) -> Loop:
    return Loop(
        name="pipelines",
        tick=pipelines.tick,
        clock=stored.clock,
        idle=timedelta(milliseconds=500),
        worst=timedelta(seconds=5),
        wake=pipelines.wake,
    )


def _replies_loop(stored: _Stored) -> Loop:
    def tick() -> int:
        return forget_replies(stored.database, stored.clock.now())

    return Loop(name="replies", tick=tick, clock=stored.clock, idle=timedelta(minutes=10))


def _files_loop(stored: _Stored, files: Files) -> Loop:
    return Loop(name="files", tick=files.sweep, clock=stored.clock, idle=timedelta(minutes=10))


def _retention_loop(settings: Settings, stored: _Stored) -> Loop:
    kept = Kept(jobs=settings.jobs_kept, logs=settings.logs_kept, keys=settings.idempotency_kept)
    retention = Retention(
        database=stored.database,
        store=stored.warehouse,
        results=stored.results,
        clock=stored.clock,
        kept=kept,
    )
    return Loop(
        name="retention", tick=retention.tick, clock=stored.clock, idle=timedelta(minutes=10)
    )
