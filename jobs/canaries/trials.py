"""What became of statements on a canary, and what that comes to. Values only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from jobs.engines.errors import InputFileMissingError
from jobs.launchers.problems import Blame
from storage.base.errors import ServiceError
from storage.base.ids import CanaryId, JobId

#: Errors that a canary must have made before a share of them says anything.
LEAST_ERRORS = 5


class TrialKind(StrEnum):
    """Which way a statement came to a canary."""

    SPLIT = "split"  #: it ran there, for its author
    SHADOW = "shadow"  #: its query was repeated there, for nobody


class Outcome(StrEnum):
    """The first three are of ``SPLIT``, the others of ``SHADOW``, where the queue's own image had
    given the result before."""

    FINISHED = "finished"
    FAILED = "failed"  #: on the canary, and as far as is known on the other image too
    RESCUED = "rescued"  #: it failed on the canary and finished on the queue's own image
    EQUAL = "equal"
    FLOATS = "floats"  #: equal when floating values are rounded
    UNSURE = "unsure"  #: it differs, but its order has ties: either may be right
    DIFFERENT = "different"
    ERROR = "error"


OUTCOMES: Mapping[TrialKind, tuple[Outcome, ...]] = {
    TrialKind.SPLIT: (Outcome.FINISHED, Outcome.FAILED, Outcome.RESCUED),
    TrialKind.SHADOW: (
        Outcome.EQUAL,
        Outcome.FLOATS,
        Outcome.UNSURE,
        Outcome.DIFFERENT,
        Outcome.ERROR,
    ),
}
#: What speaks against the image.
ERRORS = frozenset({Outcome.RESCUED, Outcome.ERROR})


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """One statement on a canary; None is what is not known of it."""

    canary_id: CanaryId
    job_id: JobId
    kind: TrialKind
    at: datetime
    outcome: Outcome
    stable_ms: int | None = None
    canary_ms: int | None = None
    stable_cu_ms: int | None = None
    canary_cu_ms: int | None = None
    stable_rows: int | None = None
    canary_rows: int | None = None
    stable_digest: str | None = None
    canary_digest: str | None = None
    code: str | None = None  #: of the error
    message: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Ratios:
    """Canary by stable, over queries that both gave; None where there was none."""

    compared: int = 0
    time_p50: float | None = None
    time_p95: float | None = None
    cost: float | None = None  #: of the sums


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What is known of a canary."""

    counts: Mapping[tuple[TrialKind, Outcome], int] = field(default_factory=dict)
    dropped: int = 0
    shadow_cu_ms: int = 0  #: what repeats took there: in no bill and no usage report
    ratios: Ratios = Ratios()
    worst: Sequence[Trial] = ()  #: those that differ or failed there only, newest first

    def count(self, outcome: Outcome) -> int:
        """How many there were."""
        return sum(count for (_, each), count in self.counts.items() if each is outcome)

    @property
    def errors(self) -> int:
        """How many failed there and nowhere else."""
        return sum(self.count(each) for each in ERRORS)

    @property
    def total(self) -> int:
        """How many statements it met."""
        return sum(self.counts.values())

    def outcomes(self, kind: TrialKind) -> Mapping[Outcome, int]:
        """How often each that a trial of this kind can have came about."""
        return {each: self.counts.get((kind, each), 0) for each in OUTCOMES[kind]}

    @property
    def error_percent(self) -> float:
        """Of all that it met; 0 before the first."""
        return 100 * self.errors / self.total if self.total else 0.0

    def condemns(self, max_errors: int | None) -> bool:
        """Whether there are more errors than that per cent."""
        if max_errors is None or self.errors < LEAST_ERRORS:
            return False
        return self.error_percent > max_errors


def ratios_of(trials: Sequence[Trial]) -> Ratios:
    """Over those whose times are known; anything faster than a millisecond counts as one."""
    timed = [
        (max(each.canary_ms, 1), max(each.stable_ms, 1), each)
        for each in trials
        if each.canary_ms is not None and each.stable_ms is not None
    ]
    if not timed:
        return Ratios()
    by_size = sorted(canary / stable for canary, stable, _ in timed)
    spent = sum(each.canary_cu_ms or 0 for _, _, each in timed)
    before = sum(each.stable_cu_ms or 0 for _, _, each in timed)
    return Ratios(
        compared=len(timed),
        time_p50=round(_quantile(by_size, 0.50), 3),
        time_p95=round(_quantile(by_size, 0.95), 3),
        cost=round(spent / before, 3) if before else None,
    )


def tells_nothing(error: ServiceError | None) -> bool:
    """Whether an image has nothing to do with it: no room for its pod, a lost node, a file that is
    gone meanwhile."""
    if isinstance(error, InputFileMissingError):
        return True
    return error is not None and error.details.get("blame") == Blame.PLATFORM.value


def _quantile(ordered: Sequence[float], share: float) -> float:
    """The least value that has ``share`` of all at or below it."""
    place = max(0, -(-int(share * 100) * len(ordered) // 100) - 1)
    return ordered[min(place, len(ordered) - 1)]
