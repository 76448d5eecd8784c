"""How a run in a pod is, by what is heard of it; and what follows when nothing is.

Silence proves something as well, since every run has a lease that only we renew: one of which
nothing was heard for longer than that has ended, wherever its node is.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from jobs.launchers.api import RunState, RunStatus
from jobs.launchers.cluster import ApiError, Watched
from jobs.launchers.identity import moment
from jobs.launchers.made import Made
from jobs.launchers.pod_copies import Copies
from jobs.launchers.pod_ends import Ends
from jobs.launchers.pod_known import Memory
from jobs.launchers.pod_objects import Objects
from jobs.launchers.pod_views import PodView, problem_in
from jobs.launchers.porters import Porters
from jobs.launchers.problems import Again, Blame, Problem
from storage.base.clock import Clock
from storage.base.ids import RunId

_HINTED = 2.0  # seconds of waiting after which the warnings about a pod are read, and again
_LOST = timedelta(seconds=60)  # from the cluster's end of a pod to that of our patience with it
_DIES = 10.0  # seconds from the end of a lease to the death of the last process, at most


@dataclass(frozen=True, slots=True, kw_only=True)
class Statuses:
    """Of all runs in one namespace. Thread-safe."""

    watched: Watched
    objects: Objects
    porters: Porters
    copies: Copies
    memory: Memory
    made: Made
    ends: Ends
    clock: Clock

    def of(self, run_id: RunId) -> RunStatus:
        """As ``Launcher.status``. The end is collected by whoever is the first to see it."""
        ended = self.copies.ended(run_id)
        if ended is not None:
            return ended
        view = self.watched.pod_of(run_id)
        if view is None:
            return self._without_pod(run_id)
        if view.over:
            if not self.made.end(run_id):
                return RunStatus(run_id=run_id, state=RunState.RUNNING)
            return self.ends.collect(view)
        if self._is_lost(view):
            assert view.problem is not None
            return self.ends.give_up(run_id, view.problem.code, view.problem)
        if self.outlived(view):
            return self.ends.give_up(run_id, "lease", _silent())
        return self._living(view)

    def outlived(self, view: PodView) -> bool:
        """Whether nothing is heard of its cluster for so long that its lease has ended the run.

        A pod that begins later does not begin: its porter knows when it was made.
        """
        if view.lease is None or self.watched.connected:
            return False
        known = self.memory.of(view.run_id)
        made = (self.clock.now() - view.created_at).total_seconds()
        return min(made, moment() - known.heard) > view.lease + _DIES

    def _is_lost(self, view: PodView) -> bool:
        """Whether the cluster wants the pod's end for long, and its node does not say that it came.

        What still runs there ends by its lease, which nobody renews any more.
        """
        if view.deleted_at is None or view.problem is None or view.problem.code != "node_lost":
            return False
        return self.clock.now() - view.deleted_at > _LOST

    def _without_pod(self, run_id: RunId) -> RunStatus:
        """Nothing runs then, unless the cluster was asked for a pod and may still make it."""
        known = self.memory.find(run_id)
        if known is None or known.unsure is None:
            return RunStatus(run_id=run_id, state=RunState.GONE)
        if moment() - known.unsure > known.lease + _DIES:
            return self.ends.give_up(run_id, known.reason or "lease", _silent())
        return RunStatus(run_id=run_id, state=RunState.STARTING, problem=_silent())

    def _living(self, view: PodView) -> RunStatus:
        known = self.memory.of(view.run_id)
        if view.ready and known.heard < known.asked:  # it began after it was renewed
            self.porters.renew(view.run_id, view, at=known.asked)
        state = RunState.RUNNING if view.ready else RunState.STARTING
        problem = view.problem
        if not view.ready and problem is None:
            problem = self._hint(view)
        used = self.porters.measured(view) if view.ready else {}
        return RunStatus(
            run_id=view.run_id,
            state=state,
            problem=problem,
            pid=used.get("pid"),
            rss_bytes=used.get("rss", 0),
            peak_rss_bytes=used.get("peak", 0),
            cpu_seconds=used.get("cpu", 0.0),
            elapsed_seconds=used.get("elapsed", 0.0),
            made_seconds=self.made.seconds(view.run_id),
            made_problem=self.made.problem(view.run_id),
        )

    def _hint(self, view: PodView) -> Problem | None:
        """What the warnings say of a pod that does not get on, asked for now and then."""
        known, now = self.memory.of(view.run_id), self.clock.monotonic()
        waited = (self.clock.now() - view.created_at).total_seconds()
        if waited < _HINTED or now - known.hint[0] < _HINTED:
            return known.hint[1]
        try:
            found = problem_in(self.objects.warnings(view.uid))
        except ApiError:
            found = None
        known.hint = (now, found)
        return found


def _silent() -> Problem:
    return Problem(
        code="cluster_unavailable",
        message="the cluster does not answer, and what it ran has ended by its lease",
        blame=Blame.PLATFORM,
        again=Again.NOW,
    )
