"""``/queues``: where jobs wait, and what they may use."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from fastapi import APIRouter, Response

from dli.api.deps import AllServices, Caller, IdempotencyKey
from dli.api.idempotency import Once, do_once
from dli.api.schemas.queues import QueueBody, QueueChanges, QueueReply, QueuesPage
from dli.api.wire import json_response, page_json
from dli.billing.money import format_nanos
from dli.identity.principals import Principal, Role
from jobs.queues.loads import QueueLoad
from jobs.service import QueueDef
from storage.base.quantities import format_span

router = APIRouter(prefix="/queues", tags=["queues"])


@router.get("", response_model=QueuesPage)
def list_queues(services: AllServices, caller: Caller) -> Response:
    """The project's queues, by name."""
    found = services.jobs.queues(caller.project_id)
    return json_response(page_json([queue_json(queue) for queue in found]))


@router.post("", response_model=QueueReply, status_code=201)
def create_queue(
    services: AllServices, caller: Caller, body: QueueBody, key: IdempotencyKey
) -> Response:
    """Create a queue. Needs the role admin."""
    _may_change(caller, body)
    queue = _changed(QueueDef(project_id=caller.project_id, name=body.name), body)
    services.book.check_class(queue.price_class)

    def create() -> tuple[int, dict[str, Any]]:
        return 201, queue_json(services.jobs.create_queue(queue))

    asked = body.model_dump(mode="json")
    once = Once(project_id=caller.project_id, key=key, path="queue", body=asked)
    return do_once(services, once, create)


@router.get("/{queue}", response_model=QueueReply)
def get_queue(services: AllServices, caller: Caller, queue: str) -> Response:
    """One queue, and what it does now."""
    found = services.jobs.queue(caller.project_id, queue)
    load = load_json(services.jobs.queue_load(found))
    return json_response(queue_json(found) | {"load": load})


@router.patch("/{queue}", response_model=QueueReply)
def update_queue(services: AllServices, caller: Caller, queue: str, body: QueueChanges) -> Response:
    """Change limits; no job is lost, those that do not fit wait. Needs the role admin."""
    _may_change(caller, body)
    changed = _changed(services.jobs.queue(caller.project_id, queue), body)
    services.book.check_class(changed.price_class)
    return json_response(queue_json(services.jobs.update_queue(changed)))


@router.delete("/{queue}", status_code=204)
def delete_queue(services: AllServices, caller: Caller, queue: str) -> Response:
    """Delete a queue that no job is in. Needs the role admin."""
    caller.require(Role.ADMIN)
    services.jobs.delete_queue(caller.project_id, queue)
    return Response(status_code=204)


def _may_change(caller: Principal, body: QueueChanges) -> None:
    """A weight counts between projects, so no project's admin sets it."""
    caller.require(Role.ADMIN)
    if body.weight is not None:
        caller.require_administrator()


#: Limits that a queue may be without; null for any other field means: leave it.
_OPTIONAL = frozenset(
    {"max_cu", "max_bytes", "max_cost", "max_running_per_user", "max_timeout", "monthly_budget"}
)
_SETS = frozenset({"kinds", "engines"})


def _changed(queue: QueueDef, body: QueueChanges) -> QueueDef:
    given = body.model_dump(exclude_unset=True, exclude={"name"})
    changes = {
        name: _own_form(name, value)
        for name, value in given.items()
        if value is not None or name in _OPTIONAL
    }
    return replace(queue, **changes)


def _own_form(name: str, value: Any) -> Any:
    if name in _SETS:
        return frozenset(value)
    return tuple(value) if isinstance(value, list) else value


def queue_json(queue: QueueDef) -> dict[str, Any]:
    """A queue on the wire."""
    return {
        "name": queue.name,
        "state": queue.state.value,
        "kinds": sorted(queue.kinds),
        "default_engine": queue.default_engine.value,
        "engines": sorted(queue.engines),
        "conf_allowed": list(queue.conf_allowed),
        "max_running": queue.max_running,
        "max_running_per_user": queue.max_running_per_user,
        "max_waiting": queue.max_waiting,
        "min_cu": queue.min_cu,
        "max_cu": queue.max_cu,
        "min_priority": queue.min_priority,
        "max_priority": queue.max_priority,
        "default_priority": queue.default_priority,
        "timeout": format_span(queue.timeout),
        "max_timeout": format_span(queue.longest),
        "overcommit": queue.overcommit,
        "weight": queue.weight,
        "guard_levels": dict(queue.guard_levels),
        "max_bytes": queue.max_bytes,
        "max_cost": None if queue.max_cost is None else format_nanos(queue.max_cost),
        "monthly_budget": (
            None if queue.monthly_budget is None else format_nanos(queue.monthly_budget)
        ),
        "price_class": queue.price_class,
        "version": queue.version,
    }


def load_json(load: QueueLoad) -> dict[str, Any]:
    """What a queue does now, on the wire."""
    return {
        "running": load.running,
        "waiting": load.waiting,
        "cu": load.cu_millis / 1000,
        "users": [
            {"user": user_id, "running": each.running, "waiting": each.waiting}
            for user_id, each in load.users.items()
        ],
    }
