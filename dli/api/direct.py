"""A shorter way to an endpoint that is asked often, for requests whose form is right.

FastAPI finds out anew for each request which route it is for and what that wants, through a dozen
layers that cost more than a small statement does in all. An endpoint is declared like any other;
where it is a coroutine that takes only what is known here, a request whose body and headers are
right goes to it at once. All others take FastAPI's way, which tells what is wrong with them.
"""

from __future__ import annotations

import inspect
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, get_type_hints

from fastapi import FastAPI, Request, Response
from pydantic import BaseModel
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from dli.api.deps import LONGEST_PROJECT, caller_of, checked_key, services_of
from dli.api.errors import mistaken
from dli.api.wire import problem
from storage.base.errors import ServiceError

_Endpoint = Callable[..., Awaitable[Response]]


class EndpointFormError(TypeError):
    """The endpoint takes something that the short way does not know of."""


@dataclass(frozen=True, slots=True)
class _Route:
    """What the measures of requests want to know of a route."""

    path: str


class DirectWay:
    """An application in front of ``app`` that knows one endpoint of it, for POST at ``path``."""

    def __init__(self, app: FastAPI, path: str, endpoint: _Endpoint) -> None:
        self._app = app
        self._long_way: ASGIApp = app
        self._route = _Route(path)
        self._endpoint = endpoint
        self._model = _body_of(endpoint)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request for the path; others must not come here."""
        if scope["method"] != "POST" or not _plain(scope):
            await self._long_way(scope, receive, send)
            return
        scope["app"] = self._app
        request = Request(scope, receive)
        try:
            response = await self._answer(request)
        except ServiceError as error:
            response = problem(error, instance=scope["path"])
        except HTTPException:  # a body that is too long: the outermost layer answers
            raise
        except Exception as error:  # noqa: BLE001  nobody behind us would answer
            response = mistaken(error, instance=scope["path"])
        if response is None:
            body = await request.body()
            await self._long_way(scope, _again(body, receive), send)
            return
        scope["route"] = self._route
        await response(scope, receive, send)

    async def _answer(self, request: Request) -> Response | None:
        """The endpoint's, None if the form is not right."""
        caller = await caller_of(request, request.headers.get("dli-project"))
        key = checked_key(request.headers.get("idempotency-key"))
        try:
            body = self._model.model_validate(json.loads(await request.body()))
        except (ValueError, RecursionError):  # also what pydantic raises
            return None
        return await self._endpoint(
            request=request, services=services_of(request), caller=caller, body=body, key=key
        )


def _plain(scope: Scope) -> bool:
    """Whether the headers are those of nearly all requests, and the address has no parameters."""
    headers = dict(scope["headers"])
    return (
        not scope["query_string"]
        and headers.get(b"content-type") == b"application/json"
        and len(headers.get(b"dli-project", b"")) <= LONGEST_PROJECT
    )


def _again(body: bytes, receive: Receive) -> Receive:
    """What gives a body that was read already once more, and then what comes after it."""
    given = False

    async def once_more() -> Message:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return once_more


def _body_of(endpoint: _Endpoint) -> type[BaseModel]:
    """The model of the endpoint's body, which must take exactly what ``_answer`` gives."""
    parameters = set(inspect.signature(endpoint).parameters)
    model: Any = get_type_hints(endpoint).get("body")
    if (
        not inspect.iscoroutinefunction(endpoint)
        or parameters != {"request", "services", "caller", "body", "key"}
        or not (isinstance(model, type) and issubclass(model, BaseModel))
    ):
        raise EndpointFormError(f"{endpoint} takes {sorted(parameters)}")
    return model
