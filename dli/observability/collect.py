"""What is read at each scrape: from rows, and from the parts that know."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace

from sqlalchemy import func, select

from dli.observability.metrics import Metrics, Reading
from jobs.canaries.canaries import DROPPED, Canaries
from jobs.canaries.trials import OUTCOMES, TrialKind
from jobs.clusters import Clusters
from jobs.engines.pool import EnginePool
from jobs.lifecycle.spec import JobKind
from jobs.lifecycle.states import TERMINAL, JobState
from jobs.loops.runner import Loop
from jobs.store.rows import jobs
from storage.base.errors import ServiceError
from storage.meta.database import Database


def watch_parts(
    metrics: Metrics,
    database: Database,
    pool: EnginePool,
    canaries: Canaries,
    orphans: Callable[[], int],
    clusters: Clusters,
) -> None:
    """Tell the metrics of jobs under way (of all replicas), this one's engines and orphans, of
    requests to clusters, and of clusters themselves, where there are several."""

    def read() -> Iterable[Reading]:
        return (
            *_jobs(database),
            *_engines(pool),
            *_canaries(canaries),
            *_orphans(orphans()),
            *_clusters(clusters),
            *_requests(clusters),
        )

    metrics.read_from(read)


def counted(loop: Loop, metrics: Metrics) -> Loop:
    """``loop`` with its failures counted."""
    return replace(loop, tick=_counted_tick(loop, metrics))


def _counted_tick(loop: Loop, metrics: Metrics) -> Callable[[], int]:
    failures = metrics.loop_failures.labels(loop.name)

    def tick() -> int:
        with failures.count_exceptions():
            return loop.tick()

    return tick


def _jobs(database: Database) -> Iterator[Reading]:
    """None while the database is away: the rest of a scrape is needed most then."""
    under_way = [state.value for state in JobState if state not in TERMINAL]
    try:
        with database.read() as tx:
            rows = tx.execute(
                select(jobs.c.kind, jobs.c.state, func.count().label("number"))
                .where(jobs.c.state.in_(under_way))
                .group_by(jobs.c.kind, jobs.c.state)
            )
            found = {(row.kind, row.state): row.number for row in rows}
    except ServiceError:
        return
    yield (
        "dli_jobs",
        "Jobs under way in all replicas, by kind and state.",
        ("kind", "state"),
        [
            ((kind.value, state), found.get((kind.value, state), 0))
            for kind in JobKind
            for state in under_way
        ],
    )


def _orphans(found: int) -> Iterator[Reading]:
    yield (
        "dli_orphans_total",
        "Processes that no job wanted any more, found and ended here since the start.",
        (),
        [((), found)],
    )


def _canaries(canaries: Canaries) -> Iterator[Reading]:
    counts = canaries.counts()
    yield (
        "dli_canary_trials_total",
        "Statements that met a canary here since the start, by kind and outcome.",
        ("kind", "outcome"),
        [
            ((kind.value, outcome), counts.get((kind, outcome), 0))
            for kind in TrialKind
            for outcome in (*OUTCOMES[kind], *([DROPPED] if kind is TrialKind.SHADOW else []))
        ],
    )
    yield (
        "dli_canary_shadow_cu_ms_total",
        "Milliseconds of compute units of queries that were repeated, which nobody is billed.",
        (),
        [((), canaries.shadow_cu_ms)],
    )


def _clusters(clusters: Clusters) -> Iterator[Reading]:
    """None where there is one cluster, or while the database is away."""
    if clusters.fleet is None:
        return
    try:
        views = clusters.views()
    except ServiceError:
        return
    up = [((view.name,), int(view.answers)) for view in views]
    yield "dli_cluster_up", "Whether a cluster answers this replica.", ("cluster",), up
    drained = [((view.name,), int(view.drain is not None)) for view in views]
    yield "dli_cluster_drained", "Whether a cluster takes nothing new.", ("cluster",), drained
    given = [((view.name,), view.capacity) for view in views if view.capacity is not None]
    yield (
        "dli_cluster_capacity_cores",
        "Cores that a cluster gives to runs and engines.",
        ("cluster",),
        [(name, capacity.cpu_millis / 1000) for name, capacity in given],
    )
    yield (
        "dli_cluster_capacity_bytes",
        "Memory that a cluster gives to runs and engines.",
        ("cluster",),
        [(name, capacity.memory_bytes) for name, capacity in given],
    )
    cores = [((view.name,), view.used.cpu_millis / 1000) for view in views]
    yield "dli_cluster_used_cores", "Cores of it that are set aside.", ("cluster",), cores
    memory = [((view.name,), view.used.memory_bytes) for view in views]
    yield "dli_cluster_used_bytes", "Memory of it that is set aside.", ("cluster",), memory


def _requests(clusters: Clusters) -> Iterator[Reading]:
    """None where runs are processes of this machine, beyond the name."""
    yield (
        "dli_cluster_requests_total",
        "Requests to the API server of a cluster since the start, by its answer's status.",
        ("cluster", "verb", "resource", "code"),
        [
            ((name, *what), number)
            for name, counts in clusters.requests().items()
            for what, number in counts.items()
        ],
    )


def _engines(pool: EnginePool) -> Iterator[Reading]:
    live = Counter((view.engine.value, view.state) for view in pool.views())
    yield "dli_engines", "Engines of this replica.", ("engine", "state"), live.items()
    counts = pool.counts()
    ends = [(("started",), counts.started), (("failed",), counts.failed)]
    ends += [((f"retired: {reason}",), number) for reason, number in counts.retired.items()]
    yield "dli_engine_events", "Engines since the start, by what became.", ("event",), ends
