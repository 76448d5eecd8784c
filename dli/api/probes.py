"""What a worker answers: ``/healthz``, ``/readyz`` and ``/metrics``, nothing else."""

from __future__ import annotations

from fastapi import FastAPI

from dli.api import errors
from dli.api.base import lifespan
from dli.api.routes import health
from dli.services import Services


def create_probes(services: Services) -> FastAPI:
    """The application over ``services``; it owns nothing that would have to be closed."""
    app = FastAPI(
        docs_url=None, redoc_url=None, openapi_url=None, lifespan=lifespan, redirect_slashes=False
    )
    app.state.services = services
    errors.install(app)
    app.include_router(health.router)
    return app
