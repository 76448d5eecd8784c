"""A shorter way into routes that are asked often and whose form is right.

FastAPI finds out anew for each request what a route wants, which costs more than a small statement
does in all. A route of the class ``DirectRoute`` is declared like any other; where its endpoint is
a coroutine that takes only what is known here, a request whose body and headers are right goes to
it at once. All others take FastAPI's way, which tells what is wrong with them.
"""

from __future__ import annotations

import inspect
import json
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, get_type_hints

from fastapi import Request, Response
from fastapi.routing import APIRoute
from pydantic import BaseModel

from dli.api.deps import LONGEST_PROJECT, caller_of, checked_key, services_of

_Handler = Callable[[Request], Coroutine[Any, Any, Response]]


class DirectRoute(APIRoute):
    """A route that knows the short way."""

    def get_route_handler(self) -> _Handler:
        """The short way with the long one behind it, if the endpoint allows it."""
        long_way = super().get_route_handler()
        model = _body_of(self.endpoint)
        return long_way if model is None else _short_way(self.endpoint, model, long_way)


def _body_of(endpoint: Callable[..., Any]) -> type[BaseModel] | None:
    """The model of the endpoint's body, if it takes exactly what ``_short_way`` gives."""
    if not inspect.iscoroutinefunction(endpoint):
        return None
    if set(inspect.signature(endpoint).parameters) != {
        "request", "services", "caller", "body", "key",
    }:  # fmt: skip
        return None
    model = get_type_hints(endpoint)["body"]
    return model if isinstance(model, type) and issubclass(model, BaseModel) else None


def _short_way(
    endpoint: Callable[..., Awaitable[Response]], model: type[BaseModel], long_way: _Handler
) -> _Handler:
    async def handle(request: Request) -> Response:
        headers = request.headers
        project = headers.get("dli-project")
        if headers.get("content-type") != "application/json" or (
            project is not None and len(project) > LONGEST_PROJECT
        ):
            return await long_way(request)
        caller = await caller_of(request, project)
        key = checked_key(headers.get("idempotency-key"))
        try:
            body = model.model_validate(json.loads(await request.body()))
        except (ValueError, RecursionError):  # also what pydantic raises
            return await long_way(request)  # the body is kept: it can be read once more
        return await endpoint(
            request=request, services=services_of(request), caller=caller, body=body, key=key
        )

    return handle
