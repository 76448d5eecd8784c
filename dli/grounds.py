"""Where engines and batches run, by the settings; and what queues say of their pods."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

from dli.settings.loading import Settings
from jobs.access.credentials import Access, Credentials, CredentialsMissingError, shared
from jobs.access.store import find as find_credentials
from jobs.engines.api import PodTerms
from jobs.engines.executors import ExecutorGround, Executors
from jobs.engines.ground import Ground
from jobs.engines.spark_image import ImageSpark
from jobs.engines.spark_install import Spark, SparkInstall
from jobs.lifecycle.spec import Size
from jobs.queues.definitions import QueueDef, QueueMissingError
from jobs.queues.store import get
from storage.base.ids import ProjectId
from storage.meta.database import Database

_PYTHON = Path("/opt/dli/bin/python")  # of the image


def ground_of(settings: Settings, *, python: Path | None = None) -> Ground:
    """This machine, or the pods of a cluster. ``python`` None: the service's own."""
    if settings.launcher == "local":
        return Ground(python=python or Path(sys.executable))
    assert settings.kubernetes_image is not None, "the launcher was made before"
    return Ground(
        python=python or _PYTHON,
        pods=True,
        executors=ExecutorGround(
            installation=settings.kubernetes_installation,
            image=settings.kubernetes_image,
            pull_policy=settings.kubernetes_pull_policy,
            pull_secrets=settings.kubernetes_pull_secrets,
            scratch_bytes=settings.kubernetes_scratch,
        ),
    )


def spark_of(settings: Settings) -> Spark:
    """Spark where batches run."""
    if settings.launcher == "local":
        return SparkInstall(cache=settings.engine_cache, java_home=settings.java_home)
    return ImageSpark()


def terms_of(settings: Settings, database: Database) -> Callable[[ProjectId, str], PodTerms]:
    """What a queue says of pods now; one that is gone says nothing."""

    def terms(project_id: ProjectId, queue: str) -> PodTerms:
        try:
            with database.read() as tx:
                found = get(tx, project_id, queue)
        except QueueMissingError:
            return PodTerms(image=settings.kubernetes_image)
        return PodTerms(
            executors=executors_of(settings, found),
            template=found.pods.template,
            executor_template=found.pods.executor_template,
            image=found.pods.image or settings.kubernetes_image,
            overcommit=found.overcommit,
            clusters=found.pods.clusters,
        )

    return terms


def access_of(settings: Settings, database: Database) -> Access:
    """Who the runs of a project are in buckets; processes of this machine are the service."""
    if settings.launcher == "local":
        return shared

    def access(project_id: ProjectId) -> Credentials | None:
        with database.read() as tx:
            found = find_credentials(tx, project_id)
        if found is None and not settings.kubernetes_shared_credentials:
            raise CredentialsMissingError(
                f"the project {project_id!r} has no credentials for the object store",
                hint="an administrator of the service sets them: dli project credentials set",
                project=project_id,
            )
        return found

    return access


def executors_of(settings: Settings, queue: QueueDef | None = None) -> Executors | None:
    """Of the queue's Spark engine, or of one whose queue says nothing; None: there are none."""
    if settings.launcher == "local":
        return None
    pods = None if queue is None else queue.pods
    most = settings.spark_executors
    if pods is not None and pods.max_executors is not None:
        most = pods.max_executors
    if not most:
        return None
    cores = (pods and pods.executor_cores) or settings.spark_executor_cores
    return Executors(
        least=min(most, 1 if pods is None else pods.min_executors),
        most=most,
        size=Size(
            cores=cores,
            memory_bytes=(pods and pods.executor_memory) or settings.spark_executor_memory,
        ),
        request_millis=None if queue is None else queue.reserved(cores * 1000),
        template={} if pods is None else pods.executor_template,
        image=None if pods is None else pods.image,
    )
