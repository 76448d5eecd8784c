"""Background work: a ``tick`` that looks at rows and does what is missing, and what calls it."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta

from storage.base.clock import Clock

log = logging.getLogger(__name__)

_STOP_CHECK = timedelta(seconds=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Loop:
    """Calls ``tick`` until told to stop; ``tick`` returns how many things it did.

    A busy tick is followed by the next at once, an idle one by ``idle`` or by ``wake``, and
    failing ones by waits that double up to ``worst``. A tick that raises never ends the loop.
    Wake-ups only make a loop faster: one that is lost costs ``idle``.
    """

    name: str
    tick: Callable[[], int]
    clock: Clock
    idle: timedelta
    worst: timedelta = timedelta(minutes=1)
    wake: threading.Event = field(default_factory=threading.Event)

    def run(self, stop: threading.Event) -> None:
        """Return within one tick and a second of ``stop``, at once if ``wake`` is set as well."""
        failures = 0
        while not stop.is_set():
            self.wake.clear()
            try:
                done = self.tick()
            except Exception:
                failures += 1
                pause = min(self.idle * 2 ** min(failures, 16), self.worst)
                log.exception("tick failed", extra={"loop": self.name, "failures": failures})
            else:
                failures = 0
                pause = timedelta(0) if done else self.idle
            self._wait(stop, pause)

    def _wait(self, stop: threading.Event, pause: timedelta) -> None:
        while pause > timedelta(0) and not stop.is_set():
            if self.clock.wait(self.wake, min(pause, _STOP_CHECK)):
                return
            pause -= _STOP_CHECK
