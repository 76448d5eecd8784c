"""The ends of runs in pods: what a pod left is brought here, and then its end is written down.

The pod's own words are the first source, the cluster's on its container the second. Of one that is
given up, since nothing is heard of it, only that is known.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass

from jobs.launchers.api import RunState, RunStatus
from jobs.launchers.made import Made
from jobs.launchers.pod_copies import Copies
from jobs.launchers.pod_known import Memory
from jobs.launchers.pod_views import PodView
from jobs.launchers.problems import Problem
from storage.base.errors import ServiceError
from storage.base.ids import RunId
from storage.objects.api import ObjectMissingError

log = logging.getLogger(__name__)

_SIGNALS = 128


@dataclass(frozen=True, slots=True, kw_only=True)
class Ends:
    """Of all runs that this replica looks after. Thread-safe."""

    copies: Copies
    memory: Memory
    made: Made

    def collect(self, view: PodView) -> RunStatus:
        """The end of a pod that is over; RUNNING while the store has not given what it left."""
        with self.memory.of(view.run_id).turn:
            told = self.copies.ended(view.run_id)
            if told is not None:
                return told
            try:
                if view.facts.get("kept"):
                    self.copies.fetch(view.run_id)
            except ObjectMissingError:
                log.error("a run's outputs are not there", extra={"run": view.run_id})
            except ServiceError as error:
                log.warning("no outputs yet", extra={"run": view.run_id, "reason": error.message})
                return RunStatus(run_id=view.run_id, state=RunState.RUNNING)
            self._write(view)
        return self._written(view.run_id)

    def give_up(self, run_id: RunId, reason: str, problem: Problem | None = None) -> RunStatus:
        """The end of a run whose node is silent: its lease ends it there, and here it is gone."""
        log.error("a pod's node does not answer", extra={"run": run_id})
        self.copies.end(
            run_id,
            code=None,
            reason=reason,
            problem=problem,
            used=self.memory.of(run_id).measured[1],
            made=self.made.seconds(run_id),
        )
        return self._written(run_id)

    def _write(self, view: PodView) -> None:
        known, told = self.memory.of(view.run_id), view.facts
        reason, problem = told.get("reason"), view.problem
        if problem is not None:
            reason = {"out_of_memory": "memory"}.get(problem.code, problem.code)
        if known.reason is not None and (reason == "stopped" or told.get("code") is None):
            reason, problem = known.reason, None
        if reason in {"memory", "deadline", "output"}:
            problem = None  # what every launcher ends runs for
        seen = known.measured[1] | {"elapsed": _lived(view)}
        self.copies.end(
            view.run_id,
            code=told["code"] if "code" in told else _code(view.exit_code),
            reason=reason,
            problem=problem,
            used=seen | {name: told[name] for name in ("elapsed", "cpu", "peak") if name in told},
            made=self.made.seconds(view.run_id),
        )

    def _written(self, run_id: RunId) -> RunStatus:
        ended = self.copies.ended(run_id)
        assert ended is not None
        return ended


def _code(exit_code: int | None) -> int | None:
    """As our launchers tell it: minus the number of the signal."""
    if exit_code is None or exit_code <= _SIGNALS:
        return exit_code
    return _SIGNALS - exit_code


def _lived(view: PodView) -> float:
    """Seconds, by the node's clock, which tells whole ones."""
    if view.started_at is None or view.finished_at is None:
        return 0.0
    return max((view.finished_at - view.started_at).total_seconds(), 0.0)
