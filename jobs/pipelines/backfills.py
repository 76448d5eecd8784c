"""Backfills: one run a day over a range of days, at most so many at a time, for so much money.

A tick looks at the rows and does what is missing. A day's attempt is written, with the money that
is set aside for it, before its run is submitted under a key made of backfill, day and attempt; so
whoever ticks next after a crash starts nothing twice. What a run leaves of its money comes back.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import Final

from jobs.crash import crash_point
from jobs.documents import JobDocuments, Submitter
from jobs.execution.parts import Parts
from jobs.firings.spec import Authors
from jobs.lifecycle.states import JobState
from jobs.pipelines import backfill_store, store
from jobs.pipelines.backfill_store import Backfill, BackfillState, Day, DayState
from jobs.pipelines.drafting import check_author
from jobs.pipelines.errors import (
    BackfillInvalidError,
    BackfillStateError,
    PipelineChangedError,
)
from jobs.pipelines.outputs import run_cost
from jobs.pipelines.parameters import complete
from jobs.pipelines.planning import plan_run
from jobs.pipelines.reading import MOST_PARALLEL
from jobs.pipelines.spec import money_text
from jobs.pipelines.store import Revision
from jobs.pipelines.submitting import RunRequest, RunSubmitting
from jobs.pipelines.work import Children
from jobs.store.jobs import load
from jobs.views import Terms
from storage.base.errors import BusyError, ConflictError, ServiceError, UnavailableError
from storage.base.ids import JobId, ProjectId, UserId, new_id

log = logging.getLogger(__name__)

MOST_DAYS: Final = 3660
LABEL: Final = "backfill"  #: the label of its runs; its value is the backfill's id
_AT_ONCE = 100
_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class BackfillRequest:
    """Days from ``first`` to ``last``, both included. ``parameter`` None: the only date."""

    first: date
    last: date
    parallel: int = 1
    max_cost: int | None = None  #: nanos, of all runs together
    parameter: str | None = None
    parameters: dict[str, object]


@dataclass(frozen=True, slots=True, kw_only=True)
class Backfills:
    """Makes, drives and ends backfills; any replica may tick."""

    parts: Parts
    documents: JobDocuments
    children: Children
    runs: RunSubmitting
    authors: Authors

    def create(self, revision: Revision, asked: BackfillRequest, user_id: UserId) -> Backfill:
        """Write a backfill down; ticks run it. Raises ``BackfillInvalidError``."""
        _check(asked)
        parameter = _date_parameter(revision, asked.parameter)
        if parameter in asked.parameters:
            raise BackfillInvalidError(f"parameter {parameter} gets the days themselves")
        complete(revision.pipeline, {**asked.parameters, parameter: asked.first.isoformat()})
        at = self.parts.clock.now()
        made = Backfill(
            id=new_id("pbf", at),
            project_id=revision.project_id,
            user_id=user_id,
            name=revision.name,
            revision=revision.number,
            parameter=parameter,
            parameters=asked.parameters,
            first=asked.first,
            last=asked.last,
            parallel=asked.parallel,
            max_cost=asked.max_cost,
            created_at=at,
        )
        count = (asked.last - asked.first).days + 1
        days = [asked.first + _DAY * index for index in range(count)]
        with self.parts.database.transaction() as tx:
            backfill_store.create(tx, made, days)
        return made

    def cancel(self, project_id: ProjectId, backfill_id: str) -> Backfill:
        """Ask for its end: no more days start, and the runs that go on are cancelled."""
        with self.parts.database.transaction() as tx:
            backfill = backfill_store.find(tx, project_id, backfill_id)
            if backfill.state.ended:
                raise BackfillStateError(f"backfill {backfill_id} is {backfill.state}")
            if backfill.state is BackfillState.CANCELLING:
                return backfill
            return backfill_store.write(tx, replace(backfill, state=BackfillState.CANCELLING))

    def resume(self, project_id: ProjectId, backfill_id: str, *, max_cost: int | None) -> Backfill:
        """Go on with the days that did not succeed; ``max_cost`` replaces the cap."""
        with self.parts.database.transaction() as tx:
            backfill = backfill_store.find(tx, project_id, backfill_id)
            if not backfill.state.ended:
                raise BackfillStateError(f"backfill {backfill_id} goes on")
            if backfill.state is BackfillState.FINISHED:
                raise BackfillStateError(f"backfill {backfill_id} has finished")
            for day in backfill_store.days_of(tx, backfill_id):
                if day.state in (DayState.FAILED, DayState.CANCELLED):
                    waiting = replace(day, state=DayState.WAITING, reason=None)
                    backfill_store.write_day(tx, waiting)
            again = replace(
                backfill,
                state=BackfillState.RUNNING,
                reason=None,
                ended_at=None,
                max_cost=backfill.max_cost if max_cost is None else max_cost,
            )
            return backfill_store.write(tx, again)

    def tick(self) -> int:
        """Bring every living backfill a step on; how many steps were made."""
        with self.parts.database.read() as tx:
            found = backfill_store.living(tx, limit=_AT_ONCE)
        done = 0
        for backfill in found:
            try:
                done += _Advance(self, backfill).steps()
            except (PipelineChangedError, BusyError, UnavailableError) as error:
                log.info("backfill waits", extra={"backfill": backfill.id, "code": error.code})
        return done


class _Advance:
    """One look at one backfill."""

    def __init__(self, around: Backfills, backfill: Backfill) -> None:
        self._around = around
        self._parts = around.parts
        self._backfill = backfill
        with self._parts.database.read() as tx:
            self._days = {day.day: day for day in backfill_store.days_of(tx, backfill.id)}
            self._revision = store.find(
                tx, backfill.project_id, backfill.name, number=backfill.revision, deleted=True
            )

    def steps(self) -> int:
        """Take in what ended, start what may start, end what is through; how many steps."""
        done = sum(self._take_in(day) for day in self._in(DayState.RUNNING))
        if self._backfill.state is BackfillState.CANCELLING:
            done += self._cancel()
        else:
            done += self._start_days()
        return done + self._end()

    def _in(self, state: DayState) -> list[Day]:
        return [day for day in self._days.values() if day.state is state]

    def _take_in(self, day: Day) -> int:
        """How the day's run is; one that was only written down is submitted."""
        if day.run_id is None:
            return self._submit(day)
        with self._parts.database.read() as tx:
            run = load(tx, day.run_id)
            if run is None or not run.state.terminal:
                return 0
            spent = run_cost(tx, run.id)
        self._write(
            replace(
                day,
                state=_DAY_ENDS[run.state],
                spent=day.spent + spent,
                reserved=0,
                reason=None if run.failure is None else run.failure.message,
            )
        )
        return 1

    def _start_days(self) -> int:
        """Start days in their order while there are free places and money."""
        waiting = self._in(DayState.WAITING)
        started = 0
        for day in waiting:
            free = self._backfill.parallel - len(self._in(DayState.RUNNING))
            if free <= 0 or self._backfill.reason is not None:
                break
            slots = min(free, len(self._in(DayState.WAITING)))
            money = self._money_for(day, slots)
            if money == _TOO_LITTLE:
                break
            self._start(day, money)
            started += 1
        return started

    def _money_for(self, day: Day, slots: int) -> int | None:
        """What to set aside for the day's run: a fair part of what is left, its price at least.

        None without a cap, ``_TOO_LITTLE`` where its price is above what is left. Where the cap is
        nothing at all, every day may start that is not known to cost something: its run is capped.
        """
        backfill, own = self._backfill, self._revision.pipeline.max_cost
        if backfill.max_cost is None:
            return own
        left = backfill.max_cost - sum(each.spent + each.reserved for each in self._days.values())
        price, least = self._price(day)
        if price > left or (least and left == 0 < backfill.max_cost):
            if not self._in(DayState.RUNNING):  # else some of it may come back
                self._stop(day, f"{'at least ' if least else ''}{money_text(price)}", left)
            return _TOO_LITTLE
        share = max(left // slots, price)
        return share if own is None else min(share, own)

    def _price(self, day: Day) -> tuple[int, bool]:
        """Of the nodes that have a price before the run, and whether the run may cost more."""
        backfill = self._backfill
        by = Submitter(project_id=backfill.project_id, user_id=backfill.user_id, may_write=True)
        plan = plan_run(
            self._revision, self._parameters(day), documents=self._around.documents, by=by
        )
        if day.resumes is not None:
            return 0, plan.price > 0 or not plan.complete
        return plan.price, not plan.complete

    def _stop(self, day: Day, price: str, left: int) -> None:
        """Start nothing more: the money is not enough."""
        assert self._backfill.max_cost is not None
        cap, rest = money_text(self._backfill.max_cost), money_text(max(left, 0))
        reason = f"{day.day} would cost {price}, and {rest} is left of {cap}"
        with self._parts.database.transaction() as tx:
            self._backfill = backfill_store.write(tx, replace(self._backfill, reason=reason))

    def _start(self, day: Day, money: int | None) -> None:
        """Write the attempt down with its money, then submit its run."""
        meant = replace(
            day,
            state=DayState.RUNNING,
            attempt=day.attempt + 1,
            run_id=None,
            resumes=day.run_id or day.resumes,
            reserved=money or 0,
            reason=None,
        )
        with self._parts.database.transaction() as tx:
            # Whoever else looks at this backfill now counts the same money: only one may go on.
            self._backfill = backfill_store.write(tx, self._backfill)
            self._days[day.day] = backfill_store.write_day(tx, meant)
        crash_point("backfill_before_submit")
        self._submit(self._days[day.day])

    def _submit(self, day: Day) -> int:
        backfill = self._backfill
        terms = Terms(
            project_id=backfill.project_id,
            user_id=backfill.user_id,
            may_write=True,
            labels={LABEL: backfill.id},
            max_cost=day.reserved if backfill.max_cost is not None else None,
            idempotency_key=f"{backfill.id}/{day.day}/{day.attempt}",
        )
        request = RunRequest(
            terms=terms,
            pipeline=backfill.name,
            revision=backfill.revision,
            parameters=self._parameters(day),
            resumes=self._resumable(day),
        )
        try:
            with self._parts.database.read() as tx:
                check_author(tx, self._around.authors, backfill.project_id, backfill.user_id)
            view = self._around.runs.submit(request)
        except (BusyError, UnavailableError):
            raise
        except ServiceError as error:
            failed = replace(day, state=DayState.FAILED, reserved=0, reason=error.message)
            self._write(failed)
            return 1
        self._write(replace(day, run_id=view.job.id))
        return 1

    def _resumable(self, day: Day) -> JobId | None:
        """The run before, unless it was refused at once: then there is nothing to take over."""
        if day.resumes is None:
            return None
        try:
            return self._around.runs.ended_run(self._backfill.project_id, day.resumes).id
        except ConflictError:
            return None

    def _parameters(self, day: Day) -> dict[str, object]:
        backfill = self._backfill
        return {**backfill.parameters, backfill.parameter: day.day.isoformat()}

    def _cancel(self) -> int:
        for day in self._in(DayState.RUNNING):
            if day.run_id is not None:
                self._around.children.cancel(self._backfill.project_id, day.run_id)
        waiting = self._in(DayState.WAITING)
        for day in waiting:
            self._write(replace(day, state=DayState.CANCELLED))
        return len(waiting)

    def _end(self) -> int:
        """The backfill's end, when no day runs and none will."""
        if self._in(DayState.RUNNING):
            return 0
        backfill, reason = self._backfill, self._backfill.reason
        waiting, failed = self._in(DayState.WAITING), self._in(DayState.FAILED)
        cancelled = self._in(DayState.CANCELLED)
        if backfill.state is BackfillState.CANCELLING:
            state = BackfillState.CANCELLED
        elif waiting and reason is None:
            return 0
        elif waiting or failed or cancelled:
            state = BackfillState.FAILED
            counted = len(waiting) + len(failed) + len(cancelled)
            reason = reason or f"{counted} of {len(self._days)} days did not succeed"
        else:
            state = BackfillState.FINISHED
        at = self._parts.clock.now()
        with self._parts.database.transaction() as tx:
            backfill_store.write(tx, replace(backfill, state=state, reason=reason, ended_at=at))
        log.info("backfill ended", extra={"backfill": backfill.id, "state": state.value})
        return 1

    def _write(self, day: Day) -> None:
        with self._parts.database.transaction() as tx:
            self._days[day.day] = backfill_store.write_day(tx, day)


_TOO_LITTLE: Final = -1
_DAY_ENDS: Final = {
    JobState.FINISHED: DayState.SUCCEEDED,
    JobState.FAILED: DayState.FAILED,
    JobState.CANCELLED: DayState.CANCELLED,
}


def _check(asked: BackfillRequest) -> None:
    days = (asked.last - asked.first).days + 1
    if days < 1:
        raise BackfillInvalidError(f"{asked.last} is before {asked.first}")
    if days > MOST_DAYS:
        raise BackfillInvalidError(f"{days} days are more than {MOST_DAYS}")
    if not 1 <= asked.parallel <= MOST_PARALLEL:
        raise BackfillInvalidError(f"parallel is from 1 to {MOST_PARALLEL}")


def _date_parameter(revision: Revision, wanted: str | None) -> str:
    """The parameter that gets the days."""
    dates = [name for name, each in revision.pipeline.parameters.items() if each.type == "date"]
    if wanted is None and len(dates) == 1:
        return dates[0]
    if wanted in dates:
        assert wanted is not None
        return wanted
    told = ", ".join(dates) or "none"
    what = "no single parameter" if wanted is None else f"no parameter {wanted!r}"
    raise BackfillInvalidError(
        f"pipeline {revision.name} has {what} of type date", hint=f"dates are: {told}"
    )
