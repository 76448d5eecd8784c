"""What a run writes: live from its launcher, and kept for ever in write-once objects.

An object holds what came since the last one and is named by the offset of its first byte, so a
reader on any replica needs nothing but the listing, and a successor goes on where it ends. Where
the launcher let go of output before it was kept, a gap is left, and readers pass over it.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta

from jobs.launchers.api import Launcher, LogPart, LogStream
from jobs.lifecycle.job import Job
from jobs.lifecycle.runs import run_id_of
from storage.base.clock import Clock
from storage.base.errors import UnavailableError
from storage.base.ids import JobId
from storage.objects.api import ObjectInfo, ObjectStore, StoreFullError

log = logging.getLogger(__name__)

_EVERY = timedelta(seconds=2)
_ENOUGH = 1 << 20  # bytes that are kept without waiting for that


@dataclass(slots=True, kw_only=True)
class LogKeeper:
    """Keeps the output of one attempt while it runs, and the rest at its end."""

    store: ObjectStore
    launcher: Launcher
    clock: Clock
    job: Job
    _offsets: dict[LogStream, int] = field(default_factory=dict)
    _kept_at: float = 0.0

    def tick(self) -> None:
        """Keep what came, every two seconds."""
        now = self.clock.monotonic()
        if now - self._kept_at >= _EVERY.total_seconds():
            self._kept_at = now
            self.keep()

    def keep(self) -> bool:
        """Keep all that came; false where the store does not take it now. A run goes on without."""
        try:
            for stream in LogStream:
                while self._keep_part(stream) >= _ENOUGH:
                    continue
        except (UnavailableError, StoreFullError) as error:
            log.warning("log not kept", extra={"job": self.job.id, "code": error.code})
            return False
        return True

    def _keep_part(self, stream: LogStream) -> int:
        offset = self._offset(stream)
        part = self.launcher.logs(run_id_of(self.job), stream=stream, offset=offset)
        data = part.data[:_ENOUGH]
        if data:
            prefix = _prefix(self.job.id, self.job.attempt, stream)
            self.store.put(f"{prefix}{part.offset:020d}", data)
            self._offsets[stream] = part.offset + len(data)
        return len(data)

    def _offset(self, stream: LogStream) -> int:
        if stream not in self._offsets:
            kept = _listed(self.store, self.job.id, self.job.attempt, stream)
            self._offsets[stream] = max((begin + info.size for begin, info in kept), default=0)
        return self._offsets[stream]


def read_log(
    store: ObjectStore,
    launcher: Launcher | None,
    job: Job,
    *,
    attempt: int,
    stream: LogStream,
    offset: int,
    most: int,
) -> LogPart:
    """At most ``most`` bytes from ``offset`` on, or from the next that are there.

    ``launcher`` is the one of the run if it is here, for what is not kept yet.
    """
    found, begins = bytearray(), offset
    for begin, info in sorted(_listed(store, job.id, attempt, stream), key=lambda each: each[0]):
        if begin + info.size <= offset:
            continue
        if found and begin > begins + len(found):
            break  # a gap: the next call passes over it
        skip = max(offset - begin, 0)
        if not found:
            begins = begin + skip
        found += store.get(info.key, start=skip, length=most - len(found))
        if len(found) >= most:
            break
    if launcher is not None and len(found) < most and attempt == job.attempt:
        live = launcher.logs(run_id_of(job), stream=stream, offset=begins + len(found))
        if live.data and (not found or live.offset == begins + len(found)):
            begins = begins if found else live.offset
            found += live.data[: most - len(found)]
    return LogPart(offset=begins, data=bytes(found))


def _listed(
    store: ObjectStore, job_id: JobId, attempt: int, stream: LogStream
) -> Iterator[tuple[int, ObjectInfo]]:
    for info in store.list(_prefix(job_id, attempt, stream)):
        yield int(info.key.rpartition("/")[2]), info


def _prefix(job_id: JobId, attempt: int, stream: LogStream) -> str:
    return f"logs/{job_id}/{attempt}/{stream.value}/"
