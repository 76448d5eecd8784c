"""Schedules, triggers, firings and webhooks on the wire. Pure: no I/O."""

from __future__ import annotations

from typing import Any

from dli.api.envelope import PREFIX, moment
from dli.api.wire import failure_json
from jobs.firings.spec import Firing
from jobs.notices.spec import Delivery, Webhook
from jobs.schedules.spec import Schedule
from jobs.schedules.times import Cron, Interval, Once
from jobs.triggers.spec import HookCalled, JobEnds, ObjectAppears, Trigger
from storage.base.errors import Failure
from storage.base.quantities import format_span


def schedule_json(schedule: Schedule) -> dict[str, Any]:
    """A schedule."""
    rule = schedule.rule
    due = None if schedule.paused else schedule.next_due
    return {
        "id": schedule.id,
        "name": schedule.name,
        "cron": rule.expression if isinstance(rule, Cron) else None,
        "timezone": rule.zone if isinstance(rule, Cron) else None,
        "every": format_span(rule.every) if isinstance(rule, Interval) else None,
        "at": moment(rule.at) if isinstance(rule, Once) else None,
        "job": dict(schedule.document),
        "missed": schedule.missed.value,
        "missed_most": schedule.missed_most,
        "overlap": schedule.overlap.value,
        "jitter": format_span(schedule.jitter),
        "start": moment(schedule.start_at),
        "end": moment(schedule.end_at),
        "paused": schedule.paused,
        "author": schedule.user_id,
        "version": schedule.version,
        "next_due": moment(due),
        "next_at": moment(schedule.next_at),
        "created_at": moment(schedule.created_at),
        "updated_at": moment(schedule.updated_at),
    }


def firing_json(firing: Firing) -> dict[str, Any]:
    """What became of one occasion."""
    return {
        "id": firing.id,
        "due_at": moment(firing.due_at),
        "state": firing.state.value,
        "reason": None if firing.reason is None else firing.reason.value,
        "until": moment(firing.until),
        "job": firing.job_id,
        "attempts": firing.attempts,
        "error": _failure(firing.error),
        "created_at": moment(firing.created_at),
        "ended_at": moment(firing.ended_at),
    }


def trigger_json(trigger: Trigger, *, secret: bool = False) -> dict[str, Any]:
    """A trigger; its secret only where it is made."""
    told: dict[str, Any] = {
        "id": trigger.id,
        "name": trigger.name,
        "on": _condition(trigger),
        "job": dict(trigger.document),
        "paused": trigger.paused,
        "author": trigger.user_id,
        "hook": f"{PREFIX}/hooks/{trigger.id}" if isinstance(trigger.on, HookCalled) else None,
        "polled_at": moment(trigger.polled_at),
        "error": _failure(trigger.error),
        "created_at": moment(trigger.created_at),
    }
    return told | {"secret": trigger.secret} if secret else told


def webhook_json(webhook: Webhook, *, secret: bool = False) -> dict[str, Any]:
    """A webhook; its secret only where it is made."""
    told: dict[str, Any] = {
        "id": webhook.id,
        "name": webhook.name,
        "url": webhook.url,
        "events": [event.value for event in webhook.events],
        "kinds": [kind.value for kind in webhook.kinds],
        "labels": dict(webhook.labels),
        "created_at": moment(webhook.created_at),
    }
    return told | {"secret": webhook.secret} if secret else told


def delivery_json(delivery: Delivery) -> dict[str, Any]:
    """One notification."""
    return {
        "id": delivery.id,
        "event": delivery.event.value,
        "job": delivery.job_id,
        "state": delivery.state.value,
        "attempts": delivery.attempts,
        "status": delivery.status,
        "error": _failure(delivery.error),
        "next_at": moment(delivery.next_at),
        "created_at": moment(delivery.created_at),
        "ended_at": moment(delivery.ended_at),
    }


def _condition(trigger: Trigger) -> dict[str, Any]:
    match trigger.on:
        case ObjectAppears() as on:
            return {
                "type": "object",
                "prefix": on.prefix,
                "every": format_span(on.every),
                "existing": on.existing,
            }
        case HookCalled():
            return {"type": "webhook"}
        case JobEnds() as on:
            return {
                "type": "job",
                "kinds": [kind.value for kind in on.kinds],
                "states": [state.value for state in on.states],
                "labels": dict(on.labels),
                "name": on.name,
                "schedule": on.schedule,
            }


def _failure(failure: Failure | None) -> dict[str, Any] | None:
    return None if failure is None else failure_json(failure)
