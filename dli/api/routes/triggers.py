"""``/triggers`` and ``/hooks``: jobs when something happens."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Header, Query, Request, Response
from fastapi.concurrency import run_in_threadpool

from dli.api.automation import firing_json, trigger_json
from dli.api.deps import AllServices, Caller, IdempotencyKey
from dli.api.idempotency import Once, do_once
from dli.api.middleware import too_large
from dli.api.schemas.automation import FiringsPage
from dli.api.schemas.triggers import (
    HookReply,
    JobEndBody,
    ObjectBody,
    TriggerBody,
    TriggerReply,
    TriggersPage,
    WebhookBody,
)
from dli.api.wire import json_response, page_json
from dli.identity.principals import Role
from jobs.signing import DELIVERY, SIGNATURE, TIMESTAMP
from jobs.triggers.service import MOST_PAYLOAD, Call
from jobs.triggers.spec import Condition, HookCalled, JobEnds, ObjectAppears, Trigger
from storage.base.ids import new_id

router = APIRouter(prefix="/triggers", tags=["triggers"])
hooks = APIRouter(prefix="/hooks", tags=["triggers"])


@router.get("", response_model=TriggersPage)
def list_triggers(services: AllServices, caller: Caller) -> Response:
    """The project's triggers, by name."""
    found = services.automation.triggers.list(caller.project_id)
    return json_response(page_json([trigger_json(trigger) for trigger in found]))


@router.post("", response_model=TriggerReply, status_code=201)
def create_trigger(
    services: AllServices, caller: Caller, body: TriggerBody, key: IdempotencyKey
) -> Response:
    """Create a trigger; its job runs in the name of the caller. Needs the role writer.

    The secret of a webhook is in this answer and nowhere else.
    """
    caller.require(Role.WRITER)
    now = services.clock.now()
    trigger = Trigger(
        id=new_id("trg", now),
        project_id=caller.project_id,
        name=body.name,
        on=_condition(body.on),
        document=body.job,
        user_id=caller.user_id,
        created_at=now,
        paused=body.paused,
    )

    def create() -> tuple[int, dict[str, Any]]:
        return 201, trigger_json(services.automation.triggers.create(trigger), secret=True)

    asked = body.model_dump(mode="json")
    once = Once(project_id=caller.project_id, key=key, path="trigger", body=asked)
    return do_once(services, once, create, secret="secret")  # noqa: S106  a field


@router.get("/{trigger}", response_model=TriggerReply)
def get_trigger(services: AllServices, caller: Caller, trigger: str) -> Response:
    """One trigger."""
    return json_response(trigger_json(services.automation.triggers.get(caller.project_id, trigger)))


@router.delete("/{trigger}", status_code=204)
def delete_trigger(services: AllServices, caller: Caller, trigger: str) -> Response:
    """Delete a trigger with its firings; jobs that run go on. Needs the role writer."""
    caller.require(Role.WRITER)
    services.automation.triggers.delete(caller.project_id, trigger)
    return Response(status_code=204)


@router.post("/{trigger}/pause", response_model=TriggerReply)
def pause_trigger(
    services: AllServices, caller: Caller, trigger: str, key: IdempotencyKey
) -> Response:
    """Submit nothing until it is resumed. Twice is as good as once. Needs the role writer."""
    caller.require(Role.WRITER)

    def pause() -> tuple[int, dict[str, Any]]:
        return 200, trigger_json(
            services.automation.triggers.set_paused(caller.project_id, trigger, True)
        )

    path = f"pause trigger {trigger}"
    return do_once(
        services, Once(project_id=caller.project_id, key=key, path=path, body=None), pause
    )


@router.post("/{trigger}/resume", response_model=TriggerReply)
def resume_trigger(
    services: AllServices, caller: Caller, trigger: str, key: IdempotencyKey
) -> Response:
    """Go on; objects that appeared in the pause are new. Needs the role writer."""
    caller.require(Role.WRITER)

    def resume() -> tuple[int, dict[str, Any]]:
        return 200, trigger_json(
            services.automation.triggers.set_paused(caller.project_id, trigger, False)
        )

    path = f"resume trigger {trigger}"
    return do_once(
        services, Once(project_id=caller.project_id, key=key, path=path, body=None), resume
    )


@router.get("/{trigger}/firings", response_model=FiringsPage)
def list_trigger_firings(
    services: AllServices,
    caller: Caller,
    trigger: str,
    cursor: str | None = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
) -> Response:
    """What it has fired, newest first, for 30 days."""
    page = services.automation.triggers.firings(
        caller.project_id, trigger, cursor=cursor, limit=limit
    )
    return json_response(page_json([firing_json(each) for each in page.items], page.next_cursor))


@hooks.post("/{trigger_id}", response_model=HookReply, status_code=202)
async def call_hook(
    request: Request,
    services: AllServices,
    trigger_id: str,
    timestamp: Annotated[
        str | None, Header(alias=TIMESTAMP, description="Seconds since 1970.")
    ] = None,
    delivery: Annotated[
        str | None,
        Header(alias=DELIVERY, description="Of your choice; the same again changes nothing."),
    ] = None,
    signature: Annotated[
        str | None,
        Header(
            alias=SIGNATURE,
            description="`v1=` and the HMAC-SHA256 of `<timestamp>.<delivery>.<body>` in hex.",
        ),
    ] = None,
) -> Response:
    """Pull a trigger by a signed request. No token is needed: the signature says who asks."""
    call = Call(
        timestamp=timestamp, delivery=delivery, signature=signature, body=await _bounded(request)
    )
    firing = await run_in_threadpool(services.automation.triggers.call, trigger_id, call)
    return json_response({"firing": firing.id, "state": firing.state.value}, 202)


async def _bounded(request: Request) -> bytes:
    body = bytearray()
    async for piece in request.stream():
        body += piece
        if len(body) > MOST_PAYLOAD:
            raise too_large(MOST_PAYLOAD)
    return bytes(body)


def _condition(body: ObjectBody | WebhookBody | JobEndBody) -> Condition:
    match body:
        case ObjectBody(every=None):
            return ObjectAppears(prefix=body.prefix, existing=body.existing)
        case ObjectBody(every=every):
            assert every is not None
            return ObjectAppears(prefix=body.prefix, every=every, existing=body.existing)
        case WebhookBody():
            return HookCalled()
        case JobEndBody():
            return JobEnds(
                kinds=tuple(body.kinds),
                states=tuple(body.states),
                labels=body.labels,
                name=body.name,
                schedule=body.schedule,
            )
