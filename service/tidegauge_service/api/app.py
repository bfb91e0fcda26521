"""Put the API together."""

from __future__ import annotations

from fastapi import Depends, FastAPI

from tidegauge_service.api import problems
from tidegauge_service.api.context import Context, authorize, refuse_nul
from tidegauge_service.api.routes import (
    alerts,
    candidates,
    dead_letters,
    deployments,
    events,
    health,
    precision,
    skew,
    streams,
    versions,
)

MODULES = (
    streams,
    versions,
    deployments,
    precision,
    skew,
    events,
    dead_letters,
    alerts,
    candidates,
)
"""Whose routes need the token."""


def create_app(context: Context) -> FastAPI:
    """Return the application; everything but /healthz and /readyz needs the token."""
    app = FastAPI(
        title="tidegauge",
        summary="Production monitoring that uses labeling functions as drift probes",
        docs_url=None,  # its page loads scripts from elsewhere
        redoc_url=None,
        openapi_url="/api/v1/openapi.json",
    )
    app.state.context = context
    problems.install(app)
    app.include_router(health.router)
    for module in MODULES:
        app.include_router(module.router, dependencies=[Depends(authorize), Depends(refuse_nul)])
    return app
