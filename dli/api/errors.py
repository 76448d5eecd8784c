"""Handlers that turn what was raised into problems; the last one catches mistakes of ours."""

from __future__ import annotations

import logging

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel
from starlette.exceptions import HTTPException
from starlette.responses import Response

from dli.api.complaints import complaints, summed_up
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
    app.add_exception_handler(UnicodeEncodeError, _no_text)
    app.add_exception_handler(Exception, _mistake)


async def _service_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, ServiceError)
    return problem(error, instance=request.url.path)


async def _invalid_request(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    told = complaints(error.errors(), _body_of(request))
    message, hint = summed_up(told)
    failure = InvalidRequestError(message, hint=hint, errors=told)
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


async def _no_text(request: Request, error: Exception) -> Response:
    """JSON can hold half of a surrogate pair, which no encoding can: all our own text has one."""
    refusal = InvalidRequestError(
        "a text holds half of a character", hint=r"\ud800 to \udfff come in pairs"
    )
    return problem(refusal, instance=request.url.path)


async def _mistake(request: Request, error: Exception) -> Response:
    return mistaken(error, instance=request.url.path)


def mistaken(error: Exception, *, instance: str) -> Response:
    """The answer where nobody expected the error, which goes to the log."""
    log.error("request failed by a mistake of the service", exc_info=error)
    return problem(
        InternalError(
            "the service made a mistake",
            hint="its log has the details under the id in the X-Request-Id header",
        ),
        instance=instance,
    )


def _body_of(request: Request) -> type[BaseModel] | None:
    """The model of the body that the route takes."""
    body_field = getattr(request.scope.get("route"), "body_field", None)
    model: type[BaseModel] | None = getattr(
        getattr(body_field, "field_info", None), "annotation", None
    )
    return model
