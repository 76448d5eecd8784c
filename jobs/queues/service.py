"""The door to queues: made, changed, drained and looked at; no job is lost by any of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from jobs.lifecycle.spec import EngineName
from jobs.queues import store
from jobs.queues.admission import take_turn
from jobs.queues.canaries import QueueCanaries
from jobs.queues.definitions import QueueDef
from jobs.queues.demand import Place
from jobs.queues.known import KnownQueues
from jobs.queues.loads import QueueLoad, queue_load
from jobs.queues.money import look_again
from storage.base.clock import Clock
from storage.base.ids import ProjectId
from storage.meta.database import Database


@dataclass(frozen=True, slots=True, kw_only=True)
class Queues:
    """Queues of all projects. Methods are safe to call from any thread."""

    database: Database
    clock: Clock
    engine_cu: Mapping[EngineName, int]
    canaries: QueueCanaries
    known: KnownQueues  #: as they were a moment ago, for what need not be exact
    room_changed: Callable[[], object]  #: somebody may start now who could not before

    def every(self, project_id: ProjectId) -> tuple[QueueDef, ...]:
        """All queues of the project, by name."""
        with self.database.read() as tx:
            return store.every(tx, project_id)

    def get(self, project_id: ProjectId, name: str) -> QueueDef:
        """One queue. Raises ``QueueMissingError`` with near names."""
        with self.database.read() as tx:
            return store.get(tx, project_id, name)

    def load(self, queue: QueueDef) -> QueueLoad:
        """What runs and waits in the queue now, by user."""
        with self.database.read() as tx:
            return queue_load(tx, queue, engine_cu=self.engine_cu)

    def create(self, queue: QueueDef) -> QueueDef:
        """Raises ``QueueInvalidError`` and ``QueueExistsError``."""
        with self.database.transaction() as tx:
            made = store.create(tx, queue)
        self.known.forget()
        return made

    def update(self, queue: QueueDef) -> QueueDef:
        """Replace the definition at ``queue.version``; raises ``QueueChangedError`` if it is past.

        No job is lost: those that wait and no longer fit are told so.
        """
        with self.database.transaction() as tx:
            changed = store.change(tx, queue)
            look_again(tx, queue.project_id, now=self.clock.now())
        self.known.forget()
        self.room_changed()
        return changed

    def delete(self, project_id: ProjectId, name: str) -> None:
        """Raises ``QueueMissingError``, and ``QueueInUseError`` while jobs are in it."""
        with self.database.transaction() as tx:
            take_turn(self.database, tx, Place(project_id=project_id, queue=name))
            store.remove(tx, project_id, name)
            self.canaries.end_with(tx, project_id, name)
        self.known.forget()

    def budget_changed(self, project_id: ProjectId) -> None:
        """Look again at the project's jobs that wait for money, and soon."""
        with self.database.transaction() as tx:
            look_again(tx, project_id, now=self.clock.now())
        self.room_changed()
