"""``/schedules``: jobs at their times."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Query, Response

from dli.api.automation import firing_json, schedule_json
from dli.api.deps import AllServices, Caller, IdempotencyKey
from dli.api.envelope import moment
from dli.api.idempotency import Once as OnceOnly
from dli.api.idempotency import do_once
from dli.api.results import aware
from dli.api.schemas.automation import FiringReply, FiringsPage
from dli.api.schemas.schedules import (
    NextTimes,
    ScheduleBody,
    ScheduleChanges,
    ScheduleReply,
    SchedulesPage,
)
from dli.api.wire import InvalidRequestError, json_response, page_json
from dli.identity.principals import Principal, Role
from jobs.schedules.spec import Schedule
from jobs.schedules.times import Cron, Interval, Once, Rule, zone_of
from storage.base.ids import new_id

router = APIRouter(prefix="/schedules", tags=["schedules"])

Limit = Annotated[int, Query(ge=1, le=1000)]


@router.get("", response_model=SchedulesPage)
def list_schedules(services: AllServices, caller: Caller) -> Response:
    """The project's schedules, by name."""
    found = services.automation.schedules.list(caller.project_id)
    return json_response(page_json([schedule_json(schedule) for schedule in found]))


@router.post("", response_model=ScheduleReply, status_code=201)
def create_schedule(
    services: AllServices, caller: Caller, body: ScheduleBody, key: IdempotencyKey
) -> Response:
    """Create a schedule; its job runs in the name of the caller. Needs the role writer."""
    caller.require(Role.WRITER)
    schedule = _new(caller, body, services.clock.now())

    def create() -> tuple[int, dict[str, Any]]:
        return 201, schedule_json(services.automation.schedules.create(schedule))

    asked = body.model_dump(mode="json")
    once = OnceOnly(project_id=caller.project_id, key=key, path="schedule", body=asked)
    return do_once(services, once, create)


@router.get("/{schedule}", response_model=ScheduleReply)
def get_schedule(services: AllServices, caller: Caller, schedule: str) -> Response:
    """One schedule."""
    return json_response(
        schedule_json(services.automation.schedules.get(caller.project_id, schedule))
    )


@router.patch("/{schedule}", response_model=ScheduleReply)
def update_schedule(
    services: AllServices, caller: Caller, schedule: str, body: ScheduleChanges
) -> Response:
    """Change a schedule; the caller becomes its author. Needs the role writer."""
    caller.require(Role.WRITER)
    stored = services.automation.schedules.get(caller.project_id, schedule)
    changed = _changed(stored, body, services.clock.now())
    updated = services.automation.schedules.update(changed, by=caller.user_id)
    return json_response(schedule_json(updated))


@router.delete("/{schedule}", status_code=204)
def delete_schedule(services: AllServices, caller: Caller, schedule: str) -> Response:
    """Delete a schedule with its firings; jobs that run go on. Needs the role writer."""
    caller.require(Role.WRITER)
    services.automation.schedules.delete(caller.project_id, schedule)
    return Response(status_code=204)


@router.post("/{schedule}/pause", response_model=ScheduleReply)
def pause_schedule(
    services: AllServices, caller: Caller, schedule: str, key: IdempotencyKey
) -> Response:
    """Fire nothing until it is resumed. Twice is as good as once. Needs the role writer."""
    caller.require(Role.WRITER)

    def pause() -> tuple[int, dict[str, Any]]:
        return 200, schedule_json(services.automation.schedules.pause(caller.project_id, schedule))

    path = f"pause schedule {schedule}"
    return do_once(
        services, OnceOnly(project_id=caller.project_id, key=key, path=path, body=None), pause
    )


@router.post("/{schedule}/resume", response_model=ScheduleReply)
def resume_schedule(
    services: AllServices, caller: Caller, schedule: str, key: IdempotencyKey
) -> Response:
    """Go on; the due times of the pause are skipped. Needs the role writer."""
    caller.require(Role.WRITER)

    def resume() -> tuple[int, dict[str, Any]]:
        return 200, schedule_json(services.automation.schedules.resume(caller.project_id, schedule))

    path = f"resume schedule {schedule}"
    return do_once(
        services, OnceOnly(project_id=caller.project_id, key=key, path=path, body=None), resume
    )


@router.post("/{schedule}/run", response_model=FiringReply, status_code=202)
def run_schedule(
    services: AllServices, caller: Caller, schedule: str, key: IdempotencyKey
) -> Response:
    """Submit its job now, in the caller's name, paused or not. Needs the role writer."""
    caller.require(Role.WRITER)

    def run() -> tuple[int, dict[str, Any]]:
        made = services.automation.schedules.run(caller.project_id, schedule, by=caller.user_id)
        return 202, firing_json(made)

    once = OnceOnly(project_id=caller.project_id, key=key, path=f"run {schedule}", body=None)
    return do_once(services, once, run)


@router.get("/{schedule}/next", response_model=NextTimes)
def next_times(
    services: AllServices,
    caller: Caller,
    schedule: str,
    count: Annotated[int, Query(ge=1, le=1000)] = 10,
) -> Response:
    """The due times to come, without their jitter; a paused schedule has them all the same."""
    found = services.automation.schedules.get(caller.project_id, schedule)
    times = services.automation.schedules.next(caller.project_id, schedule, count)
    zone = zone_of(found.rule.zone if isinstance(found.rule, Cron) else "UTC")
    items = [
        {"due_at": moment(due), "local": due.astimezone(zone).isoformat(timespec="seconds")}
        for due in times
    ]
    return json_response({"items": items})


@router.get("/{schedule}/firings", response_model=FiringsPage)
def list_firings(
    services: AllServices,
    caller: Caller,
    schedule: str,
    cursor: str | None = None,
    limit: Limit = 100,
) -> Response:
    """What became of its due times, newest first, for 30 days."""
    page = services.automation.schedules.firings(
        caller.project_id, schedule, cursor=cursor, limit=limit
    )
    return json_response(page_json([firing_json(each) for each in page.items], page.next_cursor))


def _new(caller: Principal, body: ScheduleBody, now: datetime) -> Schedule:
    rule = _rule(body, zone=body.timezone or "UTC", start=aware(body.start), now=now)
    if rule is None:
        raise InvalidRequestError("cron: give one of cron, every and at")
    made = Schedule(
        id=new_id("sch", now),
        project_id=caller.project_id,
        name=body.name,
        rule=rule,
        document=body.job,
        user_id=caller.user_id,
        created_at=now,
        updated_at=now,
        paused=body.paused,
    )
    return _with(made, body)


def _changed(stored: Schedule, body: ScheduleChanges, now: datetime) -> Schedule:
    zone = stored.rule.zone if isinstance(stored.rule, Cron) else "UTC"
    named = "start" in body.model_fields_set
    start = aware(body.start) if named else stored.start_at
    rule = _rule(body, zone=body.timezone or zone, start=start, now=now)
    if rule is None and body.timezone is not None:
        if not isinstance(stored.rule, Cron):
            raise InvalidRequestError("timezone: only cron has one")
        rule = Cron(expression=stored.rule.expression, zone=body.timezone)
    if rule is None and named and isinstance(stored.rule, Interval):
        # Without its start it goes on as it went, or from now on if it has not begun.
        rule = replace(stored.rule, anchor=start or min(stored.rule.anchor, now))
    changed = _with(replace(stored, rule=rule or stored.rule), body)
    return replace(changed, version=body.version or stored.version)


def _with(schedule: Schedule, body: ScheduleChanges) -> Schedule:
    """The schedule with what the body names beside the rule; null takes bounds away."""
    given = body.model_fields_set
    changes: dict[str, Any] = {
        name: value
        for name in ("missed", "missed_most", "overlap", "jitter")
        if (value := getattr(body, name)) is not None
    }
    if body.job is not None:
        changes["document"] = body.job
    if "start" in given:
        changes["start_at"] = aware(body.start)
    if "end" in given:
        changes["end_at"] = aware(body.end)
    return replace(schedule, **changes)


def _rule(
    body: ScheduleChanges, *, zone: str, start: datetime | None, now: datetime
) -> Rule | None:
    """The rule that the body names. Raises for two of them."""
    given = [name for name in ("cron", "every", "at") if getattr(body, name) is not None]
    if len(given) > 1:
        raise InvalidRequestError(f"{given[1]}: give one of cron, every and at")
    if body.cron is not None:
        return Cron(expression=body.cron, zone=zone)
    if body.every is not None:
        if body.timezone is not None:
            raise InvalidRequestError("timezone: an interval goes by no clocks; leave it out")
        return Interval(every=body.every, anchor=start or now)
    local = body.at
    if local is not None and local.tzinfo is None:
        local = local.replace(tzinfo=zone_of(zone))
    at = aware(local)
    return None if at is None else Once(at=at)
