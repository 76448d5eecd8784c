"""What a replica does for pods without being asked: keep its engines alive, and tidy up.

Each has a thread of its own, since an API server that is slow to let things be cleared away must
not make engines end by their lease.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable
from datetime import timedelta
from typing import Protocol

from jobs.launchers import pods
from jobs.launchers.cluster import Watched
from jobs.launchers.identity import moment
from jobs.launchers.made import Made
from jobs.launchers.pod_known import Memory
from jobs.launchers.pod_objects import Objects
from storage.base.clock import Clock
from storage.base.errors import ServiceError
from storage.base.ids import RunId

log = logging.getLogger(__name__)

_EVERY = 15.0  # seconds between two renewals of engines, and two looks for what to tidy
_SWEEP = 60.0  # seconds between two looks for what nobody forgot
_STALE = timedelta(minutes=5)  # after the end of an engine of another replica: it is gone for good


class Renews(Protocol):
    """``Launcher.renew``."""

    def __call__(self, run_ids: Iterable[RunId], *, at: float) -> None: ...


class Upkeep:
    """Of one replica's launcher, from its making to ``close``."""

    def __init__(
        self,
        *,
        watched: Watched,
        objects: Objects,
        memory: Memory,
        made: Made,
        renew: Renews,
        clock: Clock,
    ) -> None:
        self._watched = watched
        self._objects = objects
        self._memory = memory
        self._made = made
        self._renew = renew
        self._clock = clock
        self._swept = clock.monotonic()  # by the tidier alone
        self._stop = threading.Event()
        for name, tick in (("keeper", self._renew_engines), ("tidier", self._tidy)):
            title, args = f"pods-{name}", (tick,)
            threading.Thread(target=self._often, args=args, name=title, daemon=True).start()

    def sweep(self) -> int:
        """Clear away engines of replicas that are gone, and secrets without a pod; how many.

        What is known of runs that have no pod any more goes as well.
        """
        done = 0
        self._memory.prune(self._has_pod)
        engines = self._memory.engines()
        long_ago = self._clock.now() - _STALE
        for view in self._watched.all():
            ours = view.owner == self._objects.owner and view.run_id in engines
            foreign = view.role == pods.ENGINE and not ours
            if foreign and view.over and (view.finished_at or view.created_at) < long_ago:
                self._objects.clear(view.name)
                done += 1
        return done + self._objects.clear_secrets(before=long_ago.isoformat()[:19])

    def close(self) -> None:
        """Do no more; what is under way comes to its end."""
        self._stop.set()

    def _often(self, tick: Callable[[], None]) -> None:
        while not self._stop.wait(_EVERY):
            try:
                tick()
            except ServiceError as error:
                log.warning("pods not kept", extra={"reason": error.message})
            except Exception:  # the outermost of a thread: without it engines would end
                log.exception("pods not kept")

    def _renew_engines(self) -> None:
        """What has no lease of its own."""
        self._renew(self._memory.engines(), at=moment())

    def _tidy(self) -> None:
        """Clear away what nobody else will."""
        self._made.sweep(self._memory.engines(), self._has_pod)
        if self._clock.monotonic() - self._swept >= _SWEEP:
            self._swept = self._clock.monotonic()
            self.sweep()

    def _has_pod(self, run_id: RunId) -> bool:
        return self._watched.pod_of(run_id) is not None
