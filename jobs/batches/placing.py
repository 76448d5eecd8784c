"""Where a batch runs: as processes of this machine, or as a driver's pod with its executors.

Locally one process tree is driver and executors together. In pods the driver has one, and starts
each executor that the batch asked for as another; without executors it computes itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from secrets import token_urlsafe

from jobs.access.credentials import Access, Credentials, shared
from jobs.batches import command
from jobs.batches.command import Folders
from jobs.batches.sizes import heap_bytes, shares_of
from jobs.batches.telling import TOLD
from jobs.engines import s3a
from jobs.engines.api import PodTerms, Terms, no_terms
from jobs.engines.executors import DriverPod, Executors
from jobs.engines.ground import HERE, Ground, place
from jobs.engines.identity import account_of, variables_of, with_identity
from jobs.engines.spark_install import Spark
from jobs.launchers.api import Limits, RunSpec
from jobs.lifecycle.job import Job
from jobs.lifecycle.spec import BatchSpec, Size
from storage.base.ids import RunId
from storage.objects.buckets import S3Settings


@dataclass(frozen=True, slots=True, kw_only=True)
class Placing:
    """``ground.python`` runs the programs. ``s3`` is how they reach buckets; None: they do not.

    ``terms`` are what a queue says of pods, ``access`` is who a project is there.
    """

    ground: Ground = HERE
    s3: S3Settings | None = None
    terms: Terms = no_terms
    access: Access = shared

    def apart(self, spec: BatchSpec) -> bool:
        """Whether its executors are pods of their own, and have a time of their own."""
        return self.ground.executors is not None and spec.executor is not None

    def plan(
        self,
        run_id: RunId,
        job: Job,
        spec: BatchSpec,
        size: Size,
        folders: Folders,
        *,
        spark: Spark,
    ) -> RunSpec:
        """A batch with a driver of its own. ``size`` is of all its processes together.

        Raises ``CredentialsMissingError``.
        """
        ground, terms = self.ground, self.terms(job.project_id, job.queue)
        ours = self.access(job.project_id)
        driver_size, executor_size = shares_of(spec, size) if self.apart(spec) else (size, None)
        executors = None if executor_size is None else _executors(spec, executor_size, terms)
        placed = place(
            ground,
            with_identity(terms.options(driver_size.cores, driver_size.memory_bytes), ours),
            DriverPod(
                run_id=run_id,
                directory=str(folders.root),
                executor_heap=heap_bytes(executor_size or size, spec.language),
                labels=_labels(job),
                secrets={**self._buckets(ours), **spec.environment},
                variables=variables_of(ours),
                service_account=account_of(ours),
                key=token_urlsafe(32),
            ),
            executors,
        )
        driver = command.driver_of(
            spec,
            driver_size,
            folders,
            python=ground.python,
            placed={**self._s3_confs(ours), **placed.confs},
            master=placed.master,
        )
        environment = command.environment_of(spec, folders, pods=ground.pods)
        return RunSpec(
            run_id=run_id,
            command=spark.command(driver),
            environment={**self._buckets(ours), **environment},
            directory=folders.root,
            workdir=folders.work,
            memory_bytes=driver_size.memory_bytes,
            limits=self._limits(driver_size),
            labels=_labels(job),
            merged=False,
            keeps=_keeps(spec),
            pod=placed.pod,
        )

    def plan_client(
        self, run_id: RunId, job: Job, spec: BatchSpec, folders: Folders, *, remote: str
    ) -> RunSpec:
        """A batch that is a client of the engine at ``remote``."""
        return RunSpec(
            run_id=run_id,
            command=command.client_command(spec, folders, python=self.ground.python),
            environment=command.client_environment(spec, folders, remote=remote),
            directory=folders.root,
            workdir=folders.work,
            memory_bytes=spec.driver.memory_bytes,
            limits=self._limits(spec.driver),
            labels=_labels(job),
            merged=False,
            keeps=_keeps(spec),
            pod=self.terms(job.project_id, job.queue).options(
                spec.driver.cores, spec.driver.memory_bytes
            ),
        )

    def _limits(self, size: Size) -> Limits:
        """Processes of one machine share its cores; those of a pod have what it is given."""
        return Limits(cores=size.cores) if self.ground.pods else Limits()

    def _s3_confs(self, ours: Credentials | None) -> Mapping[str, str]:
        return {} if self.s3 is None else s3a.confs(self.s3, ours)

    def _buckets(self, ours: Credentials | None) -> Mapping[str, str]:
        return {} if self.s3 is None else s3a.environment(self.s3, ours)


def _executors(spec: BatchSpec, size: Size, terms: PodTerms) -> Executors:
    return Executors(
        least=spec.executors,
        most=spec.executors,
        size=size,
        request_millis=terms.part(size.cores * 1000),
        template=terms.executor_template,
        image=terms.image,
    )


def _keeps(spec: BatchSpec) -> tuple[str, ...]:
    """What is looked at after the end."""
    kept = ("events", f"lib/{TOLD}")
    return (*kept, "work") if spec.outputs else kept


def _labels(job: Job) -> dict[str, str]:
    return {"job": job.id, "project": job.project_id, "queue": job.queue}
