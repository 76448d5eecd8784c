"""What a replica knows of runs beside their pods. Never of importance after a crash."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from jobs.launchers.problems import Problem
from storage.base.ids import RunId

_NEVER = float("-inf")


@dataclass(slots=True)
class Known:
    """Of one run. Moments are of ``identity.moment``, other times of the clock's monotonic one."""

    token: str | None = None  #: what opens the window of its pod
    engine: bool = False
    lease: float = 0.0  #: seconds
    unsure: float | None = None  #: the moment of a launch that was heard or not, nobody knows
    asked: float = _NEVER  #: the moment from which its lease counts, as we were told
    heard: float = _NEVER  #: and as the run knows
    reason: str | None = None  #: that it was told to end for
    measured: tuple[float, dict[str, Any]] = (_NEVER, {})
    shut_until: float = _NEVER
    looked: float = _NEVER  #: for what it left, since its porter was heard last
    turn: threading.Lock = field(default_factory=threading.Lock)  #: of who brings what it left
    hint: tuple[float, Problem | None] = (_NEVER, None)


class Memory:
    """What is known of each run. Thread-safe; a ``Known`` itself is read and written by any."""

    def __init__(self) -> None:
        self._lock = threading.Lock()  # guards _known
        self._known: dict[RunId, Known] = {}

    def __contains__(self, run_id: RunId) -> bool:
        return run_id in self._known

    def of(self, run_id: RunId) -> Known:
        """What is known; nothing yet of a run that was not launched here."""
        with self._lock:
            return self._known.setdefault(run_id, Known())

    def find(self, run_id: RunId) -> Known | None:
        """As ``of``, None where there was nothing to know."""
        with self._lock:
            return self._known.get(run_id)

    def keep(self, run_id: RunId, known: Known) -> None:
        """From now on, instead of what was known."""
        with self._lock:
            self._known[run_id] = known

    def forget(self, run_id: RunId) -> None:
        """Twice is as once."""
        with self._lock:
            self._known.pop(run_id, None)

    def prune(self, is_there: Callable[[RunId], bool]) -> None:
        """Forget what has no pod, but those that were launched here and may still get one."""
        with self._lock:
            known = tuple(self._known.items())
        for run_id, each in known:
            if not (each.engine or each.unsure is not None or is_there(run_id)):
                self.forget(run_id)

    def engines(self) -> frozenset[RunId]:
        """Those that were launched here and have no lease of their own."""
        with self._lock:
            return frozenset(run_id for run_id, known in self._known.items() if known.engine)
