"""The applications: of those who ask, with all routes and their description; of workers' probes."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.metadata import version

import anyio.to_thread
from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from dli.api import errors
from dli.api.docs import docs_page
from dli.api.middleware import RequestMiddleware
from dli.api.rates import Rates
from dli.api.routes import (
    batches,
    databases,
    files,
    health,
    jobs,
    money,
    pipelines,
    projects,
    queues,
    schedules,
    statements,
    tables,
    tasks,
    tokens,
    triggers,
    webhooks,
)
from dli.api.schemas.problems import PROBLEMS
from dli.api.wire import json_response
from dli.services import Services

PREFIX = "/api/v1"
_ABOUT = (
    "SQL statements over HTTP: priced before they run, billed to the byte. Every request but "
    "`/healthz` and `/readyz` needs `Authorization: Bearer dli_…`. Errors are RFC 9457 problems. "
    "Money, decimals and 64-bit integers in rows are JSON strings. Unknown fields are refused."
)


def create_app(services: Services) -> FastAPI:
    """The application over ``services``; it owns nothing that would have to be closed."""
    app = FastAPI(
        title="dli",
        version=version("dli"),
        description=_ABOUT,
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        lifespan=_lifespan,
        redirect_slashes=False,
    )
    app.state.services = services
    app.state.rates = Rates(
        per_second=services.settings.rate_limit, burst=services.settings.rate_burst
    )
    errors.install(app)
    app.add_middleware(
        RequestMiddleware,
        max_body=services.settings.max_body,
        max_upload=services.settings.max_upload,
        metrics=services.metrics,
    )
    # Side by side, not in a router of their own: each level is searched for each request.
    parts = (
        statements, jobs, batches, tasks, pipelines, files, databases, tables, queues,
        schedules, triggers, webhooks, projects, tokens, money,
    )  # fmt: skip
    for router in (*(part.router for part in parts), triggers.hooks, jobs.schemas):
        app.include_router(router, prefix=PREFIX, responses=PROBLEMS)
    app.include_router(health.router)
    app.add_route("/openapi.json", _openapi, include_in_schema=False)
    app.add_route("/docs", _docs, include_in_schema=False)
    return app


def create_probes(services: Services) -> FastAPI:
    """What a worker answers: ``/healthz``, ``/readyz`` and ``/metrics``, nothing else."""
    app = FastAPI(
        docs_url=None, redoc_url=None, openapi_url=None, lifespan=_lifespan, redirect_slashes=False
    )
    app.state.services = services
    errors.install(app)
    app.include_router(health.router)
    return app


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    """Bound the threads that requests may take."""
    services: Services = app.state.services
    anyio.to_thread.current_default_thread_limiter().total_tokens = services.settings.api_threads
    yield


async def _openapi(request: Request) -> Response:
    return json_response(request.app.openapi())


async def _docs(request: Request) -> Response:
    return HTMLResponse(docs_page(request.app.openapi()))
