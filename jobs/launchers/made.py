"""The pods that runs make themselves, as a Spark driver makes its executors.

Each has a finalizer, so that its end is seen whoever deletes it, and its time is counted by its
node's clock: from the start of its container to its end, which Kubernetes tells in whole seconds.
Those of an engine are let go soon after their end, those of a job's run with the run itself: until
then any replica can count them. One whose end its node never told counts nothing.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Collection

from jobs.launchers.cluster import ApiError, Cluster, Watched
from jobs.launchers.pod_views import PodView
from jobs.launchers.problems import Problem
from storage.base.clock import Clock
from storage.base.ids import RunId

log = logging.getLogger(__name__)

_MISSING = 404
_LOST = 60.0  # seconds after which a pod that was told to end, on a silent node, is not waited for


class Made:
    """Those of all runs. Thread-safe."""

    def __init__(self, cluster: Cluster, pods: Watched, clock: Clock) -> None:
        self._cluster = cluster
        self._pods = pods
        self._clock = clock
        self._lock = threading.Lock()  # guards both below
        self._settled: dict[RunId, dict[str, float]] = {}  # seconds by uid, of those let go
        self._told: dict[RunId, float] = {}  # when they were told to end

    def seconds(self, run_id: RunId) -> float:
        """How long all that the run made lived so far, together."""
        with self._lock:
            found = dict(self._settled.get(run_id, {}))
        found |= {view.uid: self._lived(view) for view in self._pods.made_by(run_id)}
        return sum(found.values())

    def problem(self, run_id: RunId) -> Problem | None:
        """What keeps the oldest of those that do not start from it."""
        stuck = [
            view
            for view in self._pods.made_by(run_id)
            if view.problem is not None and not (view.over or view.ready)
        ]
        return min(stuck, key=lambda view: view.created_at).problem if stuck else None

    def living(self, run_id: RunId) -> int:
        """How many of them are not over."""
        return sum(not view.over for view in self._pods.made_by(run_id))

    def end(self, run_id: RunId) -> bool:
        """Tell those that live to end, once; whether none does any more, as far as is known."""
        living = [view for view in self._pods.made_by(run_id) if not view.over]
        if not living:
            return True
        now = self._clock.monotonic()
        with self._lock:
            first = run_id not in self._told
            told = self._told.setdefault(run_id, now)
        for view in living if first else ():
            self._delete(view.name)
        if now - told < _LOST:
            return False
        log.error("pods of a run do not end", extra={"run": run_id, "count": len(living)})
        return True

    def end_within(self, run_id: RunId, seconds: float) -> bool:
        """As ``end``, and wait for it; whether none lives any more."""
        return self.end(run_id) or self._pods.wait_for(lambda: not self.living(run_id), seconds)

    def release(self, run_id: RunId) -> None:
        """Let go of all that the run made, and of what is known of it. Raises ``ApiError``."""
        for view in self._pods.made_by(run_id):
            self._let_go(view)
        with self._lock:
            self._settled.pop(run_id, None)
            self._told.pop(run_id, None)

    def sweep(self, engines: Collection[RunId], is_known: Callable[[RunId], bool]) -> int:
        """Let go of what has ended: made by ``engines`` of ours, or by runs that are no more."""
        done = 0
        for view in self._pods.all_made():
            run_id = RunId(view.driver)
            if not view.over or (is_known(run_id) and run_id not in engines):
                continue
            if run_id in engines:
                with self._lock:
                    self._settled.setdefault(run_id, {})[view.uid] = self._lived(view)
            self._let_go(view)
            done += 1
        return done

    def _lived(self, view: PodView) -> float:
        if view.started_at is None:
            return 0.0
        end = view.finished_at
        if end is None:
            if view.over:
                return 0.0
            end = self._clock.now()
        return max((end - view.started_at).total_seconds(), 0.0)

    def _let_go(self, view: PodView) -> None:
        try:
            body = {"metadata": {"finalizers": None}}
            self._cluster.request("PATCH", self._cluster.of("pods", view.name), body)
        except ApiError as error:
            if error.status != _MISSING:
                raise
        if view.deleted_at is None:
            self._delete(view.name)

    def _delete(self, name: str) -> None:
        try:
            options = {"gracePeriodSeconds": 0}
            self._cluster.request("DELETE", self._cluster.of("pods", name), options)
        except ApiError as error:
            if error.status != _MISSING:
                raise
