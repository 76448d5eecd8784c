"""Notes each attempt as it ends, in the transaction that ends it; never more than it is worth."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import bindparam, select

from jobs.history.fingerprints import fingerprint_of
from jobs.history.store import FAILED, FINISHED, MEMORY, Observation, note
from jobs.lifecycle.job import Job
from jobs.lifecycle.spec import RUNS, JobKind
from jobs.lifecycle.states import JobState
from jobs.store.run_rows import runs
from jobs.usage import COMPUTE_CU_MILLIS
from storage.meta.database import Tx

_EVERY = timedelta(minutes=1)  # a statement that runs often is noted once in so long
_MOST = 10_000


@dataclass(slots=True, kw_only=True)
class History:
    """Thread-safe. Statements are sampled by what this replica noted last."""

    _noted: OrderedDict[str, datetime] = field(default_factory=OrderedDict)
    _lock: threading.Lock = field(default_factory=threading.Lock)  # guards _noted

    def keep(
        self, tx: Tx, job: Job, *, used: Mapping[str, int], at: datetime, memory: bool = False
    ) -> None:
        """Note the attempt of ``job`` that ended ``at``; ``memory``: for want of memory.

        Cancelled attempts tell nothing of the next one, and are left out.
        """
        fingerprint = fingerprint_of(job.spec)
        if job.attempt == 0 or job.state is JobState.CANCELLED or fingerprint is None:
            return
        run = None
        if job.kind in RUNS:
            run = tx.execute(_RUN, {"job": job.id, "attempt": job.attempt}).first()
        began = job.started_at or (run and run.ready_at)
        if began is None or (
            job.kind is JobKind.STATEMENT and not self._is_due(job, fingerprint, at)
        ):
            return
        note(
            tx,
            Observation(
                job_id=job.id,
                attempt=job.attempt,
                project_id=job.project_id,
                queue=job.queue,
                fingerprint=fingerprint,
                kind=job.kind,
                outcome=MEMORY if memory else _outcome(job, run),
                at=at,
                wall=at - began,
                cpu_ms=used.get(COMPUTE_CU_MILLIS) if run is None else run.cpu_ms,
                peak_memory=None if run is None else run.peak_memory,
                spill_bytes=None if run is None else _spilled(run.facts or {}),
                cpu_millis=job.cpu_millis if run is None else run.cpu_millis,
                memory_bytes=job.memory_bytes if run is None else run.memory_bytes,
            ),
        )

    def _is_due(self, job: Job, fingerprint: str, at: datetime) -> bool:
        key = f"{job.project_id}/{fingerprint}"
        with self._lock:
            last = self._noted.get(key)
            if last is not None and at - last < _EVERY:
                return False
            self._noted[key] = at
            self._noted.move_to_end(key)
            while len(self._noted) > _MOST:
                self._noted.popitem(last=False)
        return True


def _outcome(job: Job, run: Any) -> str:
    if job.state is JobState.FINISHED:
        return FINISHED
    end = None if run is None else (run.facts or {}).get("end")
    return MEMORY if end == "out_of_memory" else FAILED


def _spilled(facts: Mapping[str, Any]) -> int | None:
    """By the log of Spark's own events, if there was one."""
    totals = (facts.get("spark") or {}).get("totals")
    if totals is None:
        return None
    return int(totals.get("spilled_memory_bytes", 0) + totals.get("spilled_disk_bytes", 0))


_RUN = select(
    runs.c.ready_at,
    runs.c.cpu_ms,
    runs.c.peak_memory,
    runs.c.facts,
    runs.c.cpu_millis,
    runs.c.memory_bytes,
).where(runs.c.job_id == bindparam("job"), runs.c.attempt == bindparam("attempt"))
