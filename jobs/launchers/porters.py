"""What is asked of the porters in pods, directly, through their windows; and what they said last.

A porter that does not answer, as one that begins or ends, is no error: it is asked again later.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from jobs.launchers import pods
from jobs.launchers.api import LogPart, LogStream
from jobs.launchers.cluster import ApiError
from jobs.launchers.identity import moment
from jobs.launchers.pod_known import Memory
from jobs.launchers.pod_views import PodView
from jobs.launchers.windows import WindowClosedError, Windows
from storage.base.clock import Clock
from storage.base.ids import RunId

log = logging.getLogger(__name__)

T = TypeVar("T")

_MEASURED = 0.2  # seconds for which a measurement is good
_SHUT = 3.0  # seconds for which a window that did not answer is not asked again


@dataclass(frozen=True, slots=True, kw_only=True)
class Porters:
    """Of one cluster. Thread-safe."""

    windows: Windows
    token_of: Callable[[str], str]  #: of a pod that another replica launched; raises ``ApiError``
    memory: Memory
    clock: Clock
    port: int = pods.WINDOW_PORT

    def measured(self, view: PodView) -> dict[str, Any]:
        """What the run uses now; what was said last where its porter is silent."""
        known, now = self.memory.of(view.run_id), self.clock.monotonic()
        if now - known.measured[0] < _MEASURED:
            return known.measured[1]
        told = self._through(view, self.windows.status)
        used = known.measured[1] if told is None or "cpu" not in told else told
        known.measured = (now, used)
        return used

    def stop(self, view: PodView, *, reason: str, grace: float) -> bool:
        """Tell it to end, a second faster than its node would; false if it does not hear."""

        def tell(address: str, token: str) -> bool:
            self.windows.stop(address, token, reason=reason, grace=grace)
            return True

        return view.ready and self._through(view, tell) is True

    def renew(self, run_id: RunId, view: PodView | None, *, at: float) -> None:
        """Let its lease count from ``at``, now or when it begins; not of one that is to end."""
        known = self.memory.of(run_id)
        known.asked = max(known.asked, at)
        if known.reason is not None:
            return  # it was told to end, or could not be told

        def tell(address: str, token: str) -> bool:
            self.windows.renew(address, token, age=max(moment() - at, 0.0))
            known.heard = max(known.heard, at)
            return True

        if view is not None and view.ready and not _given_up(view):
            self._through(view, tell)

    def log(self, view: PodView, *, stream: LogStream, offset: int) -> LogPart | None:
        """What a run that lives wrote; None where its porter is silent."""

        def read(address: str, token: str) -> LogPart:
            return self.windows.log(address, token, stream=stream.value, offset=offset)

        return self._through(view, read) if view.ready else None

    def _through(self, view: PodView, ask: Callable[[str, str], T]) -> T | None:
        """The answer; None if there is none. One that was silent is left alone for a while."""
        known, now = self.memory.of(view.run_id), self.clock.monotonic()
        if view.ip is None or now < known.shut_until:
            return None
        try:
            if known.token is None:
                known.token = self.token_of(view.name)
            return ask(f"{view.ip}:{self.port}", known.token)
        except WindowClosedError as error:
            young = view.started_at is not None and (
                (self.clock.now() - view.started_at).total_seconds() < _SHUT
            )
            known.shut_until = now + (0.0 if young else _SHUT)
            log.debug("a window is shut", extra={"run": view.run_id, "reason": str(error)})
            return None
        except ApiError:
            return None


def _given_up(view: PodView) -> bool:
    """Whether the cluster wants its end and hears nothing of it: its lease shall end it."""
    return view.deleted_at is not None and view.problem is not None
