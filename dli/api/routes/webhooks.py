"""``/webhooks``: who is told of jobs that end."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query, Response

from dli.api.automation import delivery_json, webhook_json
from dli.api.deps import AllServices, Caller, IdempotencyKey
from dli.api.idempotency import Once, do_once
from dli.api.schemas.webhooks import (
    DeliveriesPage,
    DeliveryReply,
    WebhookBody,
    WebhookReply,
    WebhooksPage,
)
from dli.api.wire import json_response, page_json
from dli.identity.principals import Role
from jobs.notices.spec import Webhook
from jobs.signing import new_secret
from storage.base.ids import new_id

router = APIRouter(prefix="/webhooks", tags=["webhooks"])


@router.get("", response_model=WebhooksPage)
def list_webhooks(services: AllServices, caller: Caller) -> Response:
    """The project's webhooks, by name, without their secrets."""
    found = services.automation.webhooks.list(caller.project_id)
    return json_response(page_json([webhook_json(webhook) for webhook in found]))


@router.post("", response_model=WebhookReply, status_code=201)
def create_webhook(
    services: AllServices, caller: Caller, body: WebhookBody, key: IdempotencyKey
) -> Response:
    """Subscribe. The secret that signs requests is in this answer only. Needs the role writer."""
    caller.require(Role.WRITER)
    now = services.clock.now()
    webhook = Webhook(
        id=new_id("whk", now),
        project_id=caller.project_id,
        name=body.name,
        url=body.url,
        user_id=caller.user_id,
        created_at=now,
        events=tuple(body.events),
        kinds=tuple(body.kinds),
        labels=body.labels,
        secret=new_secret(),
    )

    def create() -> tuple[int, dict[str, Any]]:
        return 201, webhook_json(services.automation.webhooks.create(webhook), secret=True)

    asked = body.model_dump(mode="json")
    once = Once(project_id=caller.project_id, key=key, path="webhook", body=asked)
    return do_once(services, once, create, secret="secret")  # noqa: S106  a field


@router.get("/{webhook}", response_model=WebhookReply)
def get_webhook(services: AllServices, caller: Caller, webhook: str) -> Response:
    """One webhook, without its secret."""
    return json_response(webhook_json(services.automation.webhooks.get(caller.project_id, webhook)))


@router.delete("/{webhook}", status_code=204)
def delete_webhook(services: AllServices, caller: Caller, webhook: str) -> Response:
    """Unsubscribe; what was not delivered yet is dropped. Needs the role writer."""
    caller.require(Role.WRITER)
    services.automation.webhooks.delete(caller.project_id, webhook)
    return Response(status_code=204)


@router.get("/{webhook}/deliveries", response_model=DeliveriesPage)
def list_deliveries(
    services: AllServices,
    caller: Caller,
    webhook: str,
    cursor: str | None = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
) -> Response:
    """What was sent or is to be, newest first, for 30 days."""
    page = services.automation.webhooks.page(caller.project_id, webhook, cursor=cursor, limit=limit)
    return json_response(page_json([delivery_json(each) for each in page.items], page.next_cursor))


@router.post("/{webhook}/test", response_model=DeliveryReply, status_code=202)
def test_webhook(
    services: AllServices, caller: Caller, webhook: str, key: IdempotencyKey
) -> Response:
    """Send a notification of the event `test`. Needs the role writer."""
    caller.require(Role.WRITER)

    def test() -> tuple[int, dict[str, Any]]:
        made = services.automation.webhooks.test(caller.project_id, webhook)
        return 202, delivery_json(made)

    once = Once(project_id=caller.project_id, key=key, path=f"test {webhook}", body=None)
    return do_once(services, once, test)
