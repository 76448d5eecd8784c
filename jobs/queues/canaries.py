"""The door to canaries of queues: started, changed, told of, promoted and rolled back."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from jobs.canaries import store
from jobs.canaries.canaries import Canaries, figures_of
from jobs.canaries.spec import (
    Canary,
    CanaryInvalidError,
    CanaryNeedsPodsError,
    CanaryState,
    EndedFor,
    checked,
)
from jobs.canaries.trials import Report
from jobs.queues import store as queues
from jobs.queues.known import KnownQueues
from storage.base.clock import Clock
from storage.base.ids import CanaryId, ProjectId, UserId, new_id
from storage.meta.database import Database, Tx

_MOST_TOLD = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class CanaryPlan:
    """What somebody asks of a new canary."""

    image: str
    percent: int
    shadow: int
    max_errors: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class CanaryChange:
    """What is to be otherwise; None: stays. ``keep_on`` lifts the bound of errors."""

    percent: int | None = None
    shadow: int | None = None
    max_errors: int | None = None
    keep_on: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueCanaries:
    """Canaries of the queues of all projects. Methods are safe to call from any thread."""

    database: Database
    clock: Clock
    canaries: Canaries
    known: KnownQueues

    def start(self, project_id: ProjectId, queue: str, plan: CanaryPlan, *, by: UserId) -> Canary:
        """Give the queue a canary, from now on.

        Raises ``CanaryNeedsPodsError``, ``QueueMissingError``, ``CanaryInvalidError`` and
        ``CanaryExistsError``.
        """
        if not self.canaries.possible:
            raise CanaryNeedsPodsError(
                "engines are processes of the service's machine, which have no image",
                hint="a canary needs launcher = kubernetes",
            )
        now = self.clock.now()
        self.canaries.forget()  # the queue may just have been given another image
        has = self.canaries.own_image(project_id, queue)
        with self.database.transaction() as tx:
            found = queues.get(tx, project_id, queue)
            canary = Canary(
                id=CanaryId(new_id("cny", now)),
                project_id=project_id,
                queue=queue,
                image=plan.image,
                percent=plan.percent,
                shadow=plan.shadow,
                max_errors=plan.max_errors,
                replaces=found.pods.image,
                started_at=now,
                started_by=by,
            )
            if plan.image in (has, found.pods.image):
                raise CanaryInvalidError("the queue has this image already", field="image")
            store.create(tx, checked(canary))
        self.canaries.forget()
        return canary

    def show(self, project_id: ProjectId, queue: str) -> tuple[Canary, Report]:
        """The one that runs, and what is known of it.

        Raises ``QueueMissingError`` and ``CanaryMissingError``.
        """
        with self.database.read() as tx:
            canary = self._running(tx, project_id, queue)
            return canary, store.report(tx, canary)

    def history(self, project_id: ProjectId, queue: str) -> tuple[Canary, ...]:
        """All that the queue had, the newest first, a hundred at most."""
        with self.database.read() as tx:
            queues.get(tx, project_id, queue)
            return store.history(tx, project_id, queue, limit=_MOST_TOLD)

    def change(self, project_id: ProjectId, queue: str, change: CanaryChange) -> Canary:
        """Other shares from now on. A higher one takes no statement back that it had.

        Raises as ``show``, and ``CanaryInvalidError``.
        """
        with self.database.transaction() as tx:
            canary = self._running(tx, project_id, queue)
            bound = canary.max_errors if change.max_errors is None else change.max_errors
            changed = replace(
                canary,
                percent=canary.percent if change.percent is None else change.percent,
                shadow=canary.shadow if change.shadow is None else change.shadow,
                max_errors=None if change.keep_on else bound,
            )
            store.change(tx, checked(changed))
        self.canaries.forget()
        return changed

    def promote(self, project_id: ProjectId, queue: str, *, by: UserId) -> Canary:
        """Make its image the queue's own, as a new version of the queue, and end it.

        Engines of that image live on. Raises as ``show``, and ``QueueChangedError``.
        """

        def take_over(tx: Tx, canary: Canary) -> None:
            found = queues.get(tx, project_id, queue)
            pods = replace(found.pods, image=canary.image)
            queues.change(tx, replace(found, pods=pods))

        return self._end(project_id, queue, CanaryState.PROMOTED, by=by, before=take_over)

    def roll_back(self, project_id: ProjectId, queue: str, *, by: UserId) -> Canary:
        """End it; what runs on it runs to its end. Raises as ``show``."""
        return self._end(project_id, queue, CanaryState.ROLLED_BACK, by=by)

    def end_with(self, tx: Tx, project_id: ProjectId, queue: str) -> None:
        """The queue is deleted in this transaction; another of its name shall not inherit."""
        canary = store.running(tx, project_id, queue)
        if canary is not None:
            store.end(
                tx,
                canary,
                CanaryState.ROLLED_BACK,
                at=self.clock.now(),
                why=EndedFor.QUEUE_DELETED,
                by=None,
                figures=figures_of(store.report(tx, canary)),
            )
            self.canaries.forget()

    def _end(
        self,
        project_id: ProjectId,
        queue: str,
        state: CanaryState,
        *,
        by: UserId,
        before: Callable[[Tx, Canary], None] | None = None,
    ) -> Canary:
        with self.database.transaction() as tx:
            canary = self._running(tx, project_id, queue)
            if before is not None:
                before(tx, canary)
            ended = store.end(
                tx,
                canary,
                state,
                at=self.clock.now(),
                why=EndedFor.ASKED,
                by=by,
                figures=figures_of(store.report(tx, canary)),
            )
        self.known.forget()
        self.canaries.forget()
        return ended

    def _running(self, tx: Tx, project_id: ProjectId, queue: str) -> Canary:
        queues.get(tx, project_id, queue)
        return store.get_running(tx, project_id, queue)
