"""How the run of an attempt is called, so that a repeated launch finds the first one.

Where a service has several clusters, the name of a run tells in which one it lives, from its birth
to its last log: ``run_…-eu``. So a run can live in one cluster only, whoever launches it and
however often, and whoever finds its name knows whom to ask. Those of the first have no such end.
"""

from __future__ import annotations

from jobs.lifecycle.job import Job
from storage.base.ids import RunId

DEFAULT_CLUSTER = "default"  #: the one that there is where no others are named


def run_id_of(job: Job) -> RunId:
    """The one run of the job's current attempt, on whichever replica it is asked for."""
    return run_in(RunId(f"run_{job.id.partition('_')[2]}_{job.attempt}"), job.cluster)


def run_in(run_id: RunId, cluster: str | None) -> RunId:
    """The name in that cluster of a run whose name tells none yet; None is the default one."""
    if cluster is None or cluster == DEFAULT_CLUSTER:
        return run_id
    return RunId(f"{run_id}-{cluster}")


def cluster_of(run_id: RunId) -> str:
    """Where the run lives."""
    return run_id.partition("-")[2] or DEFAULT_CLUSTER


def is_of_job(run_id: RunId) -> bool:
    """Whether the run is an attempt of a job; others are engines, which serve many."""
    return run_id.count("_") == 2


def cu_millis(job: Job, *, milliseconds: int) -> int:
    """What its reservation comes to in that time: a CU is a core with 4 GiB, the larger counts."""
    return cu_rate(job.cpu_millis, job.memory_bytes) * milliseconds // 1000


def cu_rate(cpu_millis: int, memory_bytes: int) -> int:
    """Thousandths of compute units that so much is: the larger of cores and memory counts."""
    return max(cpu_millis, -(-memory_bytes * 1000 // _CU_MEMORY))


_CU_MEMORY = 4 << 30
