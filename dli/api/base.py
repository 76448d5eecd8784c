"""An application without routes: its errors, what its requests find; and the outermost layer."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.metadata import version

import anyio.to_thread
from fastapi import FastAPI
from starlette.types import ASGIApp

from dli.api import errors
from dli.api.middleware import RequestMiddleware
from dli.api.rates import Rates
from dli.services import Services

PREFIX = "/api/v1"
_ABOUT = (
    "SQL statements over HTTP: priced before they run, billed to the byte. Every request but "
    "`/healthz` and `/readyz` needs `Authorization: Bearer dli_…`. Errors are RFC 9457 problems. "
    "Money, decimals and 64-bit integers in rows are JSON strings. Unknown fields and "
    "parameters are refused."
)


def bare_app(services: Services, *, rates: Rates) -> FastAPI:
    """The application over ``services``; it owns nothing that would have to be closed."""
    app = FastAPI(
        title="dli",
        version=version("dli"),
        description=_ABOUT,
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        lifespan=lifespan,
        redirect_slashes=False,
    )
    app.state.services = services
    app.state.rates = rates
    errors.install(app)
    return app


def outermost(app: ASGIApp, services: Services) -> ASGIApp:
    """``app`` with what happens to every request."""
    return RequestMiddleware(
        app,
        max_body=services.settings.max_body,
        max_upload=services.settings.max_upload,
        metrics=services.metrics,
    )


def rates_of(services: Services) -> Rates:
    """The counts of a replica, as it is set."""
    settings = services.settings
    return Rates(per_second=settings.rate_limit, burst=settings.rate_burst)


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    """Bound the threads that requests may take."""
    services: Services = app.state.services
    anyio.to_thread.current_default_thread_limiter().total_tokens = services.settings.api_threads
    yield
