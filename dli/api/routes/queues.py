"""``/queues``: where jobs wait, and what they may use."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any

from fastapi import APIRouter, Response

from dli.api.deps import AllServices, Caller, IdempotencyKey
from dli.api.idempotency import Once, do_once
from dli.api.schemas.queues import QueueBody, QueueChanges, QueueReply, QueuesPage
from dli.api.wire import json_response, page_json
from dli.billing.money import format_nanos
from dli.identity.principals import Principal, Role
from dli.identity.projects import find_users, names_of
from dli.services import Services
from jobs.queues.loads import QueueLoad
from jobs.queues.pods import QueuePods
from jobs.service import QueueDef
from storage.base.ids import UserId
from storage.base.quantities import format_span

router = APIRouter(prefix="/queues", tags=["queues"])


@router.get("", response_model=QueuesPage)
def list_queues(services: AllServices, caller: Caller) -> Response:
    """The project's queues, by name."""
    found = services.jobs.queues.every(caller.project_id)
    return json_response(page_json(queues_json(services, found)))


@router.post("", response_model=QueueReply, status_code=201)
def create_queue(
    services: AllServices, caller: Caller, body: QueueBody, key: IdempotencyKey
) -> Response:
    """Create a queue. Needs the role admin."""
    _may_change(caller, body)
    queue = _changed(services, QueueDef(project_id=caller.project_id, name=body.name), body)
    services.book.check_class(queue.price_class)

    def create() -> tuple[int, dict[str, Any]]:
        return 201, queue_json(services, services.jobs.queues.create(queue))

    asked = body.model_dump(mode="json")
    once = Once(project_id=caller.project_id, key=key, path="queue", body=asked)
    return do_once(services, once, create)


@router.get("/{queue}", response_model=QueueReply)
def get_queue(services: AllServices, caller: Caller, queue: str) -> Response:
    """One queue, and what it does now."""
    found = services.jobs.queues.get(caller.project_id, queue)
    load = load_json(services, services.jobs.queues.load(found))
    return json_response(queue_json(services, found) | {"load": load})


@router.patch("/{queue}", response_model=QueueReply)
def update_queue(services: AllServices, caller: Caller, queue: str, body: QueueChanges) -> Response:
    """Change limits; no job is lost, those that do not fit wait. Needs the role admin."""
    _may_change(caller, body)
    changed = _changed(services, services.jobs.queues.get(caller.project_id, queue), body)
    services.book.check_class(changed.price_class)
    return json_response(queue_json(services, services.jobs.queues.update(changed)))


@router.delete("/{queue}", status_code=204)
def delete_queue(services: AllServices, caller: Caller, queue: str) -> Response:
    """Delete a queue that no job is in. Needs the role admin."""
    caller.require(Role.ADMIN)
    services.jobs.queues.delete(caller.project_id, queue)
    return Response(status_code=204)


def _may_change(caller: Principal, body: QueueChanges) -> None:
    """A weight counts between projects, and a pod can reach what is none of theirs.

    So no project's admin sets them.
    """
    caller.require(Role.ADMIN)
    pods = None if body.pods is None else QueuePods(**body.pods.model_dump())
    if body.weight is not None or (pods is not None and pods.reaches_out):
        caller.require_administrator()


#: Limits that a queue may be without; null for any other field means: leave it.
_OPTIONAL = frozenset(
    {"max_cu", "max_bytes", "max_cost", "max_running_per_user", "max_timeout", "monthly_budget"}
)
_SETS = frozenset({"kinds", "engines"})


def _changed(services: Services, queue: QueueDef, body: QueueChanges) -> QueueDef:
    given = body.model_dump(exclude_unset=True, exclude={"name"})
    changes = {
        name: _own_form(name, value)
        for name, value in given.items()
        if value is not None or name in _OPTIONAL
    }
    if "user_weights" in changes:
        changes["user_weights"] = _by_id(services, queue, changes["user_weights"])
    if "pods" in changes:
        changes["pods"] = QueuePods(**changes["pods"])
        services.clusters.check(changes["pods"].clusters)
    return replace(queue, **changes)


def _by_id(services: Services, queue: QueueDef, weights: Mapping[str, int]) -> dict[UserId, int]:
    """Weights by ids; who has the one that all have is not kept. Raises ``MemberMissingError``."""
    with services.database.read() as tx:
        ids = find_users(tx, queue.project_id, weights)
    return {ids[user]: weight for user, weight in weights.items() if weight != 1}


def _own_form(name: str, value: Any) -> Any:
    if name in _SETS:
        return frozenset(value)
    return tuple(value) if isinstance(value, list) else value


def queues_json(services: Services, queues: Sequence[QueueDef]) -> list[dict[str, Any]]:
    """Queues on the wire, with the names of users."""
    ids = {user_id for queue in queues for user_id in queue.user_weights}
    names = _names(services, ids)
    return [_queue_json(queue, names) for queue in queues]


def queue_json(services: Services, queue: QueueDef) -> dict[str, Any]:
    """A queue on the wire."""
    return queues_json(services, [queue])[0]


def _names(services: Services, user_ids: Collection[UserId]) -> Mapping[UserId, str]:
    if not user_ids:
        return {}
    with services.database.read() as tx:
        return names_of(tx, user_ids)


def _queue_json(queue: QueueDef, names: Mapping[UserId, str]) -> dict[str, Any]:
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
        "user_weights": {names[user_id]: each for user_id, each in queue.user_weights.items()},
        "pods": {"clusters": {}, **queue.pods.as_json()},
        "guard_levels": dict(queue.guard_levels),
        "max_bytes": queue.max_bytes,
        "max_cost": None if queue.max_cost is None else format_nanos(queue.max_cost),
        "monthly_budget": (
            None if queue.monthly_budget is None else format_nanos(queue.monthly_budget)
        ),
        "price_class": queue.price_class,
        "version": queue.version,
    }


def load_json(services: Services, load: QueueLoad) -> dict[str, Any]:
    """What a queue does now, on the wire."""
    names = _names(services, load.users)
    return {
        "running": load.running,
        "waiting": load.waiting,
        "cu": load.cu_millis / 1000,
        "users": [
            {
                "user": user_id,
                "name": names[user_id],
                "weight": each.weight,
                "running": each.running,
                "waiting": each.waiting,
            }
            for user_id, each in load.users.items()
        ],
    }
