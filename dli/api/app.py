"""The whole application: all routes, and its description."""

from __future__ import annotations

from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from dli.api.base import PREFIX, bare_app, rates_of
from dli.api.docs import docs_page
from dli.api.rates import Rates
from dli.api.routes import (
    batches,
    canaries,
    clusters,
    databases,
    files,
    health,
    history,
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


def create_app(services: Services, *, rates: Rates | None = None) -> FastAPI:
    """The application over ``services``; it owns nothing that would have to be closed."""
    app = bare_app(services, rates=rates or rates_of(services))
    # Side by side, not in a router of their own: each level is searched for each request.
    parts = (
        statements, jobs, history, batches, tasks, pipelines, files, databases, tables, queues,
        canaries, schedules, triggers, webhooks, projects, tokens, money, clusters,
    )  # fmt: skip
    for router in (*(part.router for part in parts), triggers.hooks, jobs.schemas):
        app.include_router(router, prefix=PREFIX, responses=PROBLEMS)
    app.include_router(health.router)
    app.add_route("/openapi.json", _openapi, include_in_schema=False)
    app.add_route("/docs", _docs, include_in_schema=False)
    return app


async def _openapi(request: Request) -> Response:
    return json_response(request.app.openapi())


async def _docs(request: Request) -> Response:
    return HTMLResponse(docs_page(request.app.openapi()))
