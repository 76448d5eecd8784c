"""What becomes of due times. Pure: from values to values."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from jobs.firings.spec import FiringState, SkipReason
from jobs.schedules.spec import Missed, Overlap, Schedule
from jobs.schedules.times import due_between

#: A due time that is found so late was missed: nobody was there.
GRACE = timedelta(minutes=1)
#: Missed ones with a row of their own; older ones share one.
_TOLD = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """About one due time, or about all from ``due`` to before ``until``."""

    due: datetime
    state: FiringState
    reason: SkipReason | None = None
    until: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Decided:
    """What a look at a schedule came to; ``replaced``: its firing that waits gives way."""

    decisions: tuple[Decision, ...]
    next_due: datetime | None
    replaced: bool = False


def decide(schedule: Schedule, *, now: datetime, busy: bool, waiting: bool) -> Decided:
    """About everything that is due by ``now``.

    ``busy``: a job of the schedule has not ended; ``waiting``: a firing waits for that already.
    """
    first = schedule.next_due
    if first is None:
        return Decided(decisions=(), next_due=None)
    times, more = _due(schedule, first, now)
    if not times:
        return Decided(decisions=(), next_due=first)
    decisions: list[Decision] = []
    if more:
        decisions.append(_skipped(first, SkipReason.MISSED, until=times[0]))
    replaced = False
    kept = _made_up(schedule, times, now)
    for due in times:
        if due not in kept:
            decisions.append(_skipped(due, SkipReason.MISSED))
            continue
        state = _state(schedule.overlap, busy=busy, waiting=waiting)
        if state is FiringState.WAITING and waiting:
            replaced = _give_way(decisions) or replaced
        if state is FiringState.SKIPPED:
            decisions.append(_skipped(due, SkipReason.OVERLAP))
            continue
        busy = busy or state is FiringState.PENDING
        waiting = waiting or state is FiringState.WAITING
        decisions.append(Decision(due=due, state=state))
    return Decided(
        decisions=tuple(decisions), next_due=schedule.due_after(times[-1]), replaced=replaced
    )


def _due(schedule: Schedule, first: datetime, now: datetime) -> tuple[tuple[datetime, ...], bool]:
    """The newest due times whose jitter has passed, and whether there are older ones."""
    end = now if schedule.end_at is None else min(now, schedule.end_at - timedelta(microseconds=1))
    found = due_between(schedule.rule, first, end, max(_TOLD, schedule.missed_most))
    times = tuple(due for due in found.times if due + schedule.jitter_at(due) <= now)
    return times, found.more and bool(times)


def _made_up(schedule: Schedule, times: Sequence[datetime], now: datetime) -> frozenset[datetime]:
    """Those that are to be fired: what is in time, and of the missed ones what the policy says."""
    in_time = [due for due in times if now - due - schedule.jitter_at(due) <= GRACE]
    missed = times[: len(times) - len(in_time)]
    match schedule.missed:
        case Missed.SKIP:
            made_up: Sequence[datetime] = ()
        case Missed.LATEST:
            made_up = () if in_time else missed[-1:]
        case Missed.ALL:
            made_up = missed[-schedule.missed_most :]
    return frozenset((*made_up, *in_time))


def _state(overlap: Overlap, *, busy: bool, waiting: bool) -> FiringState:
    if overlap is Overlap.ALLOW or not (busy or waiting):
        return FiringState.PENDING
    if overlap is Overlap.SKIP or (overlap is Overlap.QUEUE and waiting):
        return FiringState.SKIPPED
    return FiringState.WAITING


def _give_way(decisions: list[Decision]) -> bool:
    """The one that waits is skipped: one of these, or (true) one that has its row already."""
    for index, decision in enumerate(decisions):
        if decision.state is FiringState.WAITING:
            decisions[index] = _skipped(decision.due, SkipReason.OVERLAP)
            return False
    return True


def _skipped(due: datetime, reason: SkipReason, *, until: datetime | None = None) -> Decision:
    return Decision(due=due, state=FiringState.SKIPPED, reason=reason, until=until)
