"""What runs in pods wrote: from the porter while it answers, after that from what the pod left.

In between a pod has ended and the cluster has not told it yet, for seconds. But a porter has put
all into the store before it falls silent, so there is no moment in which the log is nowhere. The
container's own log, which the API server has, is none of a run whose streams are apart: it holds
both as they came. It is that of a run whose streams are one and that leaves nothing in the store,
as engines do, of which it is read after the end: nobody asks before, and the API server least.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass

from jobs.launchers import facts
from jobs.launchers.api import LogPart, LogStream
from jobs.launchers.cluster import ApiError, Watched
from jobs.launchers.pod_copies import Copies
from jobs.launchers.pod_known import Memory
from jobs.launchers.pod_objects import Objects
from jobs.launchers.pod_views import PodView
from jobs.launchers.porters import Porters
from jobs.launchers.segments import PART, read_log, read_start
from storage.base.clock import Clock
from storage.base.errors import ServiceError
from storage.base.ids import RunId
from storage.objects.api import ObjectMissingError

log = logging.getLogger(__name__)

_AGAIN = 0.5  # seconds between two looks into the store for what a silent porter may have left
_WAIT = 3.0  # seconds for another who brings it; it is much then
_SOON = 64 << 20  # bytes of outputs that who asks for a log waits for; else it waits for the end


@dataclass(frozen=True, slots=True, kw_only=True)
class Logs:
    """Of all runs in one namespace. Thread-safe."""

    watched: Watched
    objects: Objects
    porters: Porters
    copies: Copies
    memory: Memory
    clock: Clock

    def read(self, run_id: RunId, *, stream: LogStream, offset: int) -> LogPart:
        """As ``Launcher.logs``. Empty for now where nothing is told, as of a pod that begins."""
        view, ended = self.watched.pod_of(run_id), self.copies.ended(run_id) is not None
        if view is not None and not ended:
            living = None if view.over else self.porters.log(view, stream=stream, offset=offset)
            if living is not None:
                self.memory.of(run_id).looked = float("-inf")
                return living
            self._bring(view)
        home = str(self.copies.home(run_id))
        order = facts.read(home, "order.json") or {"merged": False, "stdout": None}
        if order["merged"]:
            if view is not None and (ended or view.over) and not self.copies.has_log(run_id):
                self.copies.keep_log(run_id, *self._of_container(view))
            at, data = read_log(home, "output", offset)
        elif order["stdout"] is not None and stream is LogStream.STDOUT:
            at, data = read_start(order["stdout"], offset)
        else:
            at, data = read_log(home, stream.value, offset)
        return LogPart(offset=at, data=data[:PART])

    def _bring(self, view: PodView) -> None:
        """What it left, if it has by now; its end is not known by that.

        Looked for at once when its porter fell silent, and then now and then. What fails here fails
        again where the end is collected, which waits for it.
        """
        known = self.memory.of(view.run_id)
        if not (view.over or view.started_at is not None) or not known.turn.acquire(timeout=_WAIT):
            return
        try:
            now = self.clock.monotonic()
            if now - known.looked >= _AGAIN and self.copies.ended(view.run_id) is None:
                known.looked = now
                self.copies.fetch(view.run_id, most=_SOON)
        except ObjectMissingError:
            return
        except (ServiceError, OSError) as error:
            log.warning("no outputs yet", extra={"run": view.run_id, "reason": str(error)})
        finally:
            known.turn.release()

    def _of_container(self, view: PodView) -> tuple[int, bytes]:
        """Where it begins, and the log; or the reason why there is none."""
        try:
            return self.objects.log(view.name)
        except ApiError as error:
            return 0, f"(no log: {error.message})\n".encode()
