"""What keeps the pods of a run from starting, kept beside it while it does.

A job goes on meanwhile: its pod may still find a place, and a driver computes with the executors
that it has.
"""

from __future__ import annotations

from dataclasses import dataclass

from jobs.launchers.api import RunState, RunStatus
from jobs.store import run_rows
from jobs.views import Obstacle
from storage.base.ids import RunId
from storage.meta.database import Database


def obstacle_of(status: RunStatus) -> Obstacle | None:
    """Of a run that lives: what is in the way of its own pod, else of those that it makes."""
    if status.state.ended:
        return None
    own = status.problem if status.state is RunState.STARTING else None
    found = own or status.made_problem
    if found is None:
        return None
    return Obstacle(
        reason=found.code,
        message=found.message,
        hint=found.hint,
        blame=found.blame.value,
        again=found.again.value,
        executors=own is None,
    )


@dataclass(slots=True, kw_only=True)
class ObstacleKeeper:
    """Writes down what is new of one run. ``known`` false: its row may have what another wrote."""

    database: Database
    run_id: RunId
    told: Obstacle | None = None
    known: bool = True

    def tell(self, status: RunStatus) -> None:
        """What holds now; nothing is written while that stays as it is."""
        obstacle = obstacle_of(status)
        if self.known and obstacle == self.told:
            return
        with self.database.transaction() as tx:
            run_rows.tell_obstacle(tx, self.run_id, obstacle)
        self.told, self.known = obstacle, True
