"""Which image a statement runs on, and who is told of it: asked once for every attempt.

What a queue says is read once a second at most, so that a replica may follow a start, a promotion
or a rollback by another one a second late. No statement is lost by that: an engine whose image is
not wanted any more ends the statements that it has.
"""

from __future__ import annotations

import logging
import threading
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta

from jobs.canaries import store
from jobs.canaries.spec import (
    Canary,
    CanaryMissingError,
    CanaryState,
    EndedFor,
    falls_within,
)
from jobs.canaries.trials import Report, Trial, TrialKind
from jobs.lifecycle.events import Fault
from jobs.lifecycle.job import Job
from storage.base.clock import Clock
from storage.base.ids import CanaryId, ProjectId
from storage.meta.database import Database, Tx

log = logging.getLogger(__name__)

_KEPT = timedelta(seconds=1)  # how late a change by another replica may be seen
_MOST = 10_000

DROPPED = "dropped"  #: beside the outcomes: a query that was to be compared, and was not
#: The image of a queue's pods by its own document; None where engines are no pods.
OwnImage = Callable[[ProjectId, str], str | None]


def no_image(project_id: ProjectId, queue: str) -> str | None:
    """Where engines are processes of this machine."""
    return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """For one attempt: its image, and what its queue's canary has to do with it."""

    image: str | None
    canary: Canary | None = None  #: the queue's, whatever this attempt runs on
    splits: bool = False  #: the attempt runs on the canary
    shadows: bool = False  #: its query is to be repeated there


@dataclass(frozen=True, slots=True, kw_only=True)
class _Known:
    at: float
    image: str | None
    canary: Canary | None


class Canaries:
    """The canaries of all queues, as one replica sees them. Thread-safe."""

    def __init__(
        self,
        database: Database,
        clock: Clock,
        *,
        own_image: OwnImage = no_image,
        possible: bool = False,
        kept: timedelta = timedelta(days=30),
    ) -> None:
        """``possible``: engines are pods, which have images. ``kept`` is how long trials are."""
        self.possible = possible
        self._database = database
        self._clock = clock
        self._own_image = own_image
        self._trials_kept = kept
        self._known: dict[tuple[ProjectId, str], _Known] = {}
        self._counts: Counter[tuple[TrialKind, str]] = Counter()
        self._dropped: Counter[CanaryId] = Counter()
        self._shadow_cu_ms = 0
        self._lock = threading.Lock()  # guards the four above

    def choose(self, job: Job) -> Choice:
        """What the current attempt of ``job`` runs on.

        Only first attempts go to a canary, and only those of jobs that have another one left: what
        fails there is tried again on the queue's own image, where it fails or not by its own doing.
        """
        known = self._find(job.project_id, job.queue)
        canary = known.canary
        if canary is None:
            return Choice(image=known.image)
        again = Fault.PLATFORM in job.spec.retry.on and job.max_attempts > job.attempt
        if job.attempt == 1 and again and falls_within(job.id, canary.percent, of="split"):
            return Choice(image=canary.image, canary=canary, splits=True)
        shadows = falls_within(job.id, canary.shadow, of="shadow")
        return Choice(image=known.image, canary=canary, shadows=shadows)

    def own_image(self, project_id: ProjectId, queue: str) -> str | None:
        """The queue's own, a moment ago."""
        return self._find(project_id, queue).image

    def images(self, project_id: ProjectId, queue: str) -> frozenset[str | None]:
        """All that engines of the queue may have now."""
        known = self._find(project_id, queue)
        others = set() if known.canary is None else {known.canary.image}
        return frozenset({known.image} | others)

    def is_over(self, canary: Canary) -> bool:
        """Whether it has ended, as far as was known a moment ago."""
        now = self._find(canary.project_id, canary.queue).canary
        return now is None or now.id != canary.id

    def forget(self) -> None:
        """Read all again: something was changed here."""
        with self._lock:
            self._known.clear()

    def keep(self, tx: Tx, trial: Trial) -> None:
        """Write down what became of a statement on a canary."""
        store.add_trial(tx, trial)
        with self._lock:
            self._counts[trial.kind, trial.outcome.value] += 1
            if trial.kind is TrialKind.SHADOW:
                self._shadow_cu_ms += trial.canary_cu_ms or 0

    def rescued(self, tx: Tx, canary: Canary, job: Job) -> None:
        """A later attempt has finished on the queue's own image."""
        store.rescue(tx, canary.id, job.id)

    def drop(self, canary: Canary) -> None:
        """Count a query that will not be compared. No I/O."""
        with self._lock:
            self._counts[TrialKind.SHADOW, DROPPED] += 1
            self._dropped[canary.id] += 1

    @property
    def shadow_cu_ms(self) -> int:
        """Milliseconds of compute units that comparisons took here since the start."""
        return self._shadow_cu_ms

    def counts(self) -> Mapping[tuple[TrialKind, str], int]:
        """Trials of this replica since its start, by kind and outcome, or ``DROPPED``."""
        with self._lock:
            return dict(self._counts)

    def tick(self) -> int:
        """Write down what was dropped, and roll back what makes too many errors."""
        with self._lock:
            dropped, self._dropped = self._dropped, Counter()
        with self._database.read() as tx:
            condemned = [
                each
                for each in store.all_running(tx)
                if Report(counts=store.counts(tx, each.id)).condemns(each.max_errors)
            ]
        if not (dropped or condemned):
            return 0
        with self._database.transaction() as tx:
            for canary_id, count in dropped.items():
                store.add_dropped(tx, canary_id, count)
            for canary in condemned:
                self._condemn(tx, canary)
        self.forget()
        return len(condemned)

    def sweep(self) -> int:
        """Forget trials of long ago; how many."""
        forgotten = 0
        while True:
            with self._database.transaction() as tx:
                before = self._clock.now() - self._trials_kept
                count = store.forget_trials(tx, before=before)
            forgotten += count
            if not count:
                return forgotten

    def _condemn(self, tx: Tx, canary: Canary) -> None:
        """Another replica, or a person, may be first."""
        with suppress(CanaryMissingError):
            store.end(
                tx,
                canary,
                CanaryState.ROLLED_BACK,
                at=self._clock.now(),
                why=EndedFor.ERRORS,
                by=None,
                figures=figures_of(store.report(tx, canary)),
            )
            log.warning("canary rolled back", extra={"queue": canary.queue, "canary": canary.id})

    def _find(self, project_id: ProjectId, queue: str) -> _Known:
        now = self._clock.monotonic()
        with self._lock:
            known = self._known.get((project_id, queue))
        if known is not None and now - known.at <= _KEPT.total_seconds():
            return known
        image = self._own_image(project_id, queue)
        with self._database.read() as tx:
            canary = store.running(tx, project_id, queue)
        found = _Known(at=now, image=image, canary=canary)
        with self._lock:
            if len(self._known) >= _MOST:
                self._known.clear()
            self._known[project_id, queue] = found
        return found


def figures_of(report: Report) -> dict[str, object]:
    """A report as JSON, without the statements that it names."""
    ratios = report.ratios
    return {
        "split": _named(report, TrialKind.SPLIT),
        "shadow": _named(report, TrialKind.SHADOW) | {DROPPED: report.dropped},
        "errors": report.errors,
        "error_percent": round(report.error_percent, 3),
        "ratios": {
            "compared": ratios.compared,
            "time_p50": ratios.time_p50,
            "time_p95": ratios.time_p95,
            "cost": ratios.cost,
        },
        "shadow_cu_ms": report.shadow_cu_ms,
    }


def _named(report: Report, kind: TrialKind) -> dict[str, int]:
    return {outcome.value: count for outcome, count in report.outcomes(kind).items()}
