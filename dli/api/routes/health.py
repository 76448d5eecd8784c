"""``/healthz``, ``/readyz``, ``/metrics``: for those who run the service."""

from __future__ import annotations

import hmac

from fastapi import APIRouter, Request, Response

from dli.api.deps import AllServices, bearer
from dli.api.wire import json_response
from dli.services import Services
from storage.base.errors import ServiceError

router = APIRouter(tags=["health"])


@router.get("/healthz")
async def healthz() -> Response:
    """200 while the process serves. Needs no token."""
    return json_response({"status": "ok"})


@router.get("/readyz", responses={503: {"description": "A part that is needed is away."}})
def readyz(services: AllServices) -> Response:
    """200 while all parts that are needed answer; 503 with their names else. Needs no token."""
    parts = {"database": _database(services), "work": _work(services)}
    ready = all(state == "ok" for state in parts.values())
    body = {"status": "ready" if ready else "not ready", **parts}
    return json_response(body, 200 if ready else 503)


@router.get("/metrics", response_class=Response)
def metrics(request: Request, services: AllServices) -> Response:
    """Prometheus metrics, for administrators and for the token of the setting metrics_token."""
    secret = bearer(request.headers.get("authorization"))
    wanted = services.settings.metrics_token
    if wanted is None or not hmac.compare_digest(
        secret.encode(), wanted.get_secret_value().encode()
    ):
        services.identity.authenticate(secret, None).require_administrator()
    body, media_type = services.metrics.exposition()
    return Response(body, media_type=media_type)


def _database(services: Services) -> str:
    try:
        with services.database.read() as tx:
            tx.exec_driver_sql("SELECT 1")
    except ServiceError as error:
        return error.code
    return "ok"


def _work(services: Services) -> str:
    return "stopping" if services.stopping.is_set() else "ok"
