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
        """Note the attempt of ``job`` that ended ``at``; ``memory``: for want of memory."""
        began = job.started_at
        if began is None or job.attempt == 0 or job.state is JobState.CANCELLED:
            return
        fingerprint = fingerprint_of(job.spec)
        if fingerprint is None:
            return
        if job.kind is JobKind.STATEMENT and not self._is_due(job, fingerprint, at):
            return
        measured = _measured(tx, job) if job.kind in RUNS else {}
        outcome = MEMORY if memory else FINISHED if job.state is JobState.FINISHED else FAILED
        note(
            tx,
            Observation(
                job_id=job.id,
                attempt=job.attempt,
                project_id=job.project_id,
                queue=job.queue,
                fingerprint=fingerprint,
                kind=job.kind,
                outcome=outcome,
                at=at,
                wall=at - began,
                cpu_ms=measured.get("cpu_ms", used.get(COMPUTE_CU_MILLIS)),
                peak_memory=measured.get("peak_memory"),
                spill_bytes=measured.get("spill_bytes"),
                cpu_millis=job.cpu_millis,
                memory_bytes=job.memory_bytes,
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


def _measured(tx: Tx, job: Job) -> dict[str, Any]:
    """What the launcher and the work itself told of the attempt's run."""
    row = tx.execute(_RUN, {"job": job.id, "attempt": job.attempt}).first()
    if row is None:
        return {}
    facts = row.facts or {}
    return {
        "cpu_ms": row.cpu_ms,
        "peak_memory": row.peak_memory,
        "spill_bytes": facts.get("spill_bytes"),
    }


_RUN = select(runs.c.cpu_ms, runs.c.peak_memory, runs.c.facts).where(
    runs.c.job_id == bindparam("job"), runs.c.attempt == bindparam("attempt")
)
