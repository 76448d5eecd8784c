"""``/queues/{queue}/canary``: a new image of its engines, tried beside the one that it has."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Response

from dli.api.deps import AllServices, Caller
from dli.api.envelope import moment
from dli.api.schemas.canaries import CanariesPage, CanaryBody, CanaryChanges, CanaryReply
from dli.api.wire import json_response, page_json
from dli.identity.principals import Principal, Role
from dli.services import Services
from jobs.canaries.canaries import figures_of
from jobs.canaries.spec import Canary
from jobs.canaries.trials import Report, Trial
from jobs.queues.canaries import CanaryChange, CanaryPlan

router = APIRouter(prefix="/queues/{queue}", tags=["queues"])


@router.get("/canary", response_model=CanaryReply)
def get_canary(services: AllServices, caller: Caller, queue: str) -> Response:
    """The queue's canary, and what is known of it by now."""
    return json_response(_shown(*services.jobs.canaries.show(caller.project_id, queue)))


@router.post("/canary", response_model=CanaryReply, status_code=201)
def start_canary(services: AllServices, caller: Caller, queue: str, body: CanaryBody) -> Response:
    """Give the queue a canary. Needs an administrator of the service, as `pods.image` does."""
    _may_change(services, caller, queue)
    plan = CanaryPlan(**body.model_dump())
    made = services.jobs.canaries.start(caller.project_id, queue, plan, by=caller.user_id)
    return json_response(_told(made), status=201)


@router.patch("/canary", response_model=CanaryReply)
def change_canary(
    services: AllServices, caller: Caller, queue: str, body: CanaryChanges
) -> Response:
    """Change its shares. Needs an administrator of the service."""
    _may_change(services, caller, queue)
    lifted = "max_errors" in body.model_fields_set and body.max_errors is None
    change = CanaryChange(**body.model_dump(), keep_on=lifted)
    return json_response(_told(services.jobs.canaries.change(caller.project_id, queue, change)))


@router.post("/canary/promote", response_model=CanaryReply)
def promote_canary(services: AllServices, caller: Caller, queue: str) -> Response:
    """Make its image the queue's `pods.image`. Needs an administrator of the service."""
    _may_change(services, caller, queue)
    ended = services.jobs.canaries.promote(caller.project_id, queue, by=caller.user_id)
    return json_response(_told(ended))


@router.post("/canary/rollback", response_model=CanaryReply)
def roll_back_canary(services: AllServices, caller: Caller, queue: str) -> Response:
    """End it; statements that run on it run on. Needs an administrator of the service."""
    _may_change(services, caller, queue)
    ended = services.jobs.canaries.roll_back(caller.project_id, queue, by=caller.user_id)
    return json_response(_told(ended))


@router.get("/canaries", response_model=CanariesPage)
def list_canaries(services: AllServices, caller: Caller, queue: str) -> Response:
    """All that the queue had, the newest first, a hundred at most."""
    found = services.jobs.canaries.history(caller.project_id, queue)
    return json_response(page_json([_told(each) for each in found]))


def _may_change(services: Services, caller: Principal, queue: str) -> None:
    """An image can reach what is none of the project's, so none of its admins chooses one."""
    caller.require(Role.ADMIN)
    services.jobs.queues.get(caller.project_id, queue)
    caller.require_administrator()


def _shown(canary: Canary, report: Report) -> dict[str, Any]:
    worst = [_trial_json(each) for each in report.worst]
    return _told(canary) | {"figures": figures_of(report), "worst": worst}


def _told(canary: Canary) -> dict[str, Any]:
    return {
        "id": canary.id,
        "queue": canary.queue,
        "image": canary.image,
        "replaces": canary.replaces,
        "percent": canary.percent,
        "shadow": canary.shadow,
        "max_errors": canary.max_errors,
        "state": canary.state.value,
        "started_at": moment(canary.started_at),
        "started_by": canary.started_by,
        "ended_at": moment(canary.ended_at),
        "ended_by": canary.ended_by,
        "ended_for": None if canary.ended_for is None else canary.ended_for.value,
        "figures": canary.figures,
        "worst": [],
    }


def _trial_json(trial: Trial) -> dict[str, Any]:
    return {
        "statement": trial.job_id,
        "kind": trial.kind.value,
        "outcome": trial.outcome.value,
        "at": moment(trial.at),
        "code": trial.code,
        "message": trial.message,
        "stable_rows": trial.stable_rows,
        "canary_rows": trial.canary_rows,
        "stable_digest": trial.stable_digest,
        "canary_digest": trial.canary_digest,
    }
