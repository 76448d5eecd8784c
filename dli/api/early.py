"""Serves what is asked first at once, and all the rest as soon as it is loaded.

The routes of statements are a sixth of all. The others take a tenth of a start to load, which
happens beside the first requests; one that comes for them meanwhile waits for its answer.
"""

from __future__ import annotations

import asyncio
import importlib
import logging
from collections.abc import Sequence
from concurrent.futures import Future

from starlette.routing import BaseRoute
from starlette.types import ASGIApp, Receive, Scope, Send

from dli.api.base import PREFIX, bare_app, outermost, rates_of
from dli.api.direct import DirectWay
from dli.api.routes import health, statements
from dli.api.schemas.problems import PROBLEMS
from dli.services import Services

log = logging.getLogger(__name__)

_SUBMIT = f"{PREFIX}/statements"
_EARLY = ("/healthz", "/readyz", "/metrics", _SUBMIT)


class EarlyApp:
    """The application over ``services``: two, side by side, which share all that is counted."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._rates = rates_of(services)
        early = bare_app(services, rates=self._rates)
        early.include_router(statements.router, prefix=PREFIX, responses=PROBLEMS)
        early.include_router(health.router)
        self._early: ASGIApp = early
        self._submit = DirectWay(early, _SUBMIT, statements.submit_statement)
        self.routes: Sequence[BaseRoute] = early.routes  #: those that are there at once
        self._whole: Future[ASGIApp] = Future()
        self._app = outermost(self._route, services)

    def load(self) -> None:
        """Load the rest and return when it is there; called once."""
        try:
            app = importlib.import_module("dli.api.app")
            self._whole.set_result(app.create_app(self._services, rates=self._rates))
        except BaseException as error:
            log.exception("the routes cannot be loaded")
            self._whole.set_exception(error)

    @property
    def broken(self) -> bool:
        """Whether the rest could not be loaded."""
        return self._whole.done() and self._whole.exception() is not None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hand the request to the application that knows its path."""
        await self._app(scope, receive, send)

    async def _route(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._early(scope, receive, send)
        elif scope["path"] == _SUBMIT:
            await self._submit(scope, receive, send)
        elif is_early(scope["path"]):
            await self._early(scope, receive, send)
        else:
            if not self._whole.done():
                await asyncio.wait([asyncio.wrap_future(self._whole)])
            await self._whole.result()(scope, receive, send)


def is_early(path: str) -> bool:
    """Whether the application that is there at once knows the path."""
    return path in _EARLY or path.startswith(f"{_SUBMIT}/")
