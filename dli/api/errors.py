"""Handlers that turn what was raised into problems; the last one catches mistakes of ours."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel
from starlette.exceptions import HTTPException
from starlette.responses import Response

from dli.api.deps import services_of
from dli.api.middleware import too_large
from dli.api.wire import (
    InternalError,
    InvalidRequestError,
    MethodNotAllowedError,
    RouteMissingError,
    problem,
)
from storage.base.errors import ServiceError

log = logging.getLogger(__name__)


def install(app: FastAPI) -> None:
    """Register all handlers."""
    app.add_exception_handler(ServiceError, _service_error)
    app.add_exception_handler(RequestValidationError, _invalid_request)
    app.add_exception_handler(HTTPException, _http_error)
    app.add_exception_handler(Exception, _mistake)


async def _service_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, ServiceError)
    return problem(error, instance=request.url.path)


async def _invalid_request(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    told = [_field_error(request, item) for item in error.errors()]
    message = "; ".join(f"{item['field']}: {item['message']}" for item in told[:5])
    hints = [item["hint"] for item in told if item.get("hint")]
    failure = InvalidRequestError(message, hint=hints[0] if hints else None, errors=told)
    return problem(failure, instance=request.url.path)


async def _http_error(request: Request, error: Exception) -> Response:
    """What the framework refuses by itself: paths and methods."""
    assert isinstance(error, HTTPException)
    path = request.url.path
    if error.status_code == 405:
        allowed = (error.headers or {}).get("Allow", "")
        refusal: ServiceError = MethodNotAllowedError(
            f"{request.method} is not served at {path}", hint=f"possible: {allowed}"
        )
    elif error.status_code == 413:
        refusal = too_large(services_of(request).settings.max_body)
    elif error.status_code == 404:
        refusal = RouteMissingError(f"there is nothing at {path}", hint="see /docs")
    else:
        refusal = InvalidRequestError(str(error.detail), hint="the body must be JSON in UTF-8")
    return problem(refusal, instance=path)


async def _mistake(request: Request, error: Exception) -> Response:
    log.error("request failed by a mistake of the service", exc_info=error)
    return problem(
        InternalError(
            "the service made a mistake",
            hint="its log has the details under the id in the X-Request-Id header",
        ),
        instance=request.url.path,
    )


def _field_error(request: Request, item: Mapping[str, Any]) -> dict[str, Any]:
    """One field's error in plain words; never the value, which may be a secret."""
    place = [str(part) for part in item["loc"] if part not in ("body", "query", "path", "header")]
    field = ".".join(place) or "body"
    kind = item["type"]
    if kind == "json_invalid":
        return {"field": "body", "message": f"is not JSON: {item['ctx']['error']}"}
    if kind == "extra_forbidden":
        near = get_close_matches(place[-1], _known(request, place[:-1]), n=1)
        hint = f"did you mean {near[0]!r}?" if near else None
        return {"field": field, "message": "is not a known field", "hint": hint}
    message = str(item["msg"]).removeprefix("Value error, ")
    return {"field": field, "message": message[:1].lower() + message[1:]}


def _known(request: Request, path: Sequence[str]) -> list[str]:
    """Names of the fields at a place of the body, for a near match."""
    body_field = getattr(request.scope.get("route"), "body_field", None)
    model = getattr(getattr(body_field, "field_info", None), "annotation", None)
    for part in path:
        fields = getattr(model, "model_fields", {})
        model = _model_in(fields[part].annotation) if part in fields else None
    return [field.alias or name for name, field in getattr(model, "model_fields", {}).items()]


def _model_in(annotation: Any) -> type[BaseModel] | None:
    """The model of ``X`` or ``X | None``."""
    for part in (annotation, *getattr(annotation, "__args__", ())):
        if isinstance(part, type) and issubclass(part, BaseModel):
            return part
    return None
