"""How the run of an attempt is called, so that a repeated launch finds the first one."""

from __future__ import annotations

from jobs.lifecycle.job import Job
from storage.base.ids import RunId


def run_id_of(job: Job) -> RunId:
    """The one run of the job's current attempt, on whichever replica it is asked for."""
    return RunId(f"run_{job.id.partition('_')[2]}_{job.attempt}")


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
