"""What may be turned about jobs, with units; filled from the service's settings above."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta

from jobs.lifecycle.spec import RUNS, EngineName, JobKind
from storage.catalog.names import DEFAULT_DATABASE

GIB = 2**30


@dataclass(frozen=True, slots=True, kw_only=True)
class JobSettings:
    """Of one replica. The defaults are those of a service on one machine."""

    lease: timedelta = timedelta(seconds=15)  #: a job whose owner is silent this long is taken over
    workers: int = 64  #: statements that this replica runs at the same time
    run_workers: int = 32  #: batches and tasks, likewise
    pipeline_workers: int = 64  #: pipeline runs, likewise
    run_lease: timedelta = timedelta(seconds=60)  #: a batch or task survives its service so long
    #: a run that something keeps from starting is given up after it
    run_start_timeout: timedelta = timedelta(minutes=5)
    max_attempts: int = 3
    retry_pause: timedelta = timedelta(seconds=1)  #: before the second attempt; doubles
    max_timeout: timedelta = timedelta(hours=24)
    result_ttl: timedelta = timedelta(hours=24)  #: when the statement names none
    max_result_ttl: timedelta = timedelta(days=30)
    max_rows: int = 10_000_000  #: of a result, when the statement names none, and the most
    max_result_bytes: int = 10 * GIB
    collect_rows: int = 100_000  #: Spark: what is likely larger is written by it, not collected
    refresh_after: timedelta = timedelta(seconds=10)  #: external tables are listed again after it
    interrupt_grace: timedelta = timedelta(seconds=3)  #: then an engine that does not let go dies
    flush_after: timedelta = timedelta(milliseconds=100)  #: a short statement's steps are one write
    progress_every: timedelta = timedelta(seconds=1)
    engine_cu: Mapping[EngineName, int] = field(
        default_factory=lambda: {EngineName.SAIL: 1, EngineName.SPARK: 1}
    )  #: compute units of one engine, for queues' limits and metering
    #: of the executors that an engine keeps while it lives, which are metered apart from it
    executors_cu: Mapping[EngineName, int] = field(default_factory=dict)
    engine_memory: Mapping[EngineName, int] = field(default_factory=dict)
    #: bytes that one engine may use, for what batches and tasks must leave free
    default_database: str = DEFAULT_DATABASE
    preparers: int = 2  #: child processes
    prepare_limit: timedelta = timedelta(seconds=2)
    prepare_memory: int = GIB  #: bytes of address space beyond what the child starts with

    def lease_of(self, kind: JobKind) -> timedelta:
        """How long the owner of a job of this kind may be silent."""
        return self.run_lease if kind in RUNS else self.lease

    def renew_every(self, kind: JobKind) -> timedelta:
        """How often: thrice in the lease, and no kind less often than statements."""
        return min(self.lease, self.lease_of(kind)) / 3

    @property
    def held_cu(self) -> Mapping[EngineName, int]:
        """What a living engine takes of its queue's compute units, with its executors."""
        return {name: cu + self.executors_cu.get(name, 0) for name, cu in self.engine_cu.items()}
