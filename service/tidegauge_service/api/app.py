"""Put the API together."""

from __future__ import annotations

from fastapi import Depends, FastAPI

from tidegauge_service.api import problems
from tidegauge_service.api.blind_streams import BlindStreams
from tidegauge_service.api.context import ApiContext, refuse_nul
from tidegauge_service.api.parameters import refuse_unknown
from tidegauge_service.api.requests.admission import Admission
from tidegauge_service.api.requests.bodies import Bodies
from tidegauge_service.api.requests.head import Head
from tidegauge_service.api.routes import (
    alerts,
    candidates,
    dead_letters,
    deployment_changes,
    deployments,
    events,
    false_alarms,
    health,
    incidents,
    precision,
    skew,
    streams,
)

MODULES = (
    streams,
    deployments,
    deployment_changes,
    precision,
    skew,
    false_alarms,
    events,
    dead_letters,
    alerts,
    incidents,
    candidates,
)
"""Whose routes need the token."""


def create_app(context: ApiContext) -> FastAPI:
    """Return the application; what is not in ``admission.OPEN`` needs the token."""
    app = FastAPI(
        title="tidegauge",
        summary="Production monitoring that uses labeling functions as drift probes",
        docs_url=None,  # its page loads scripts from elsewhere
        redoc_url=None,
        openapi_url="/api/v1/openapi.json",
        dependencies=[Depends(refuse_unknown)],
        redirect_slashes=False,  # to an address made of the Host header, without the token
    )
    app.state.context = context
    app.state.blind_streams = BlindStreams(context.database)
    problems.install(app)
    # The last one added sees a request first: no byte of a body is read before the token is.
    app.add_middleware(Head)
    app.add_middleware(Bodies)
    app.add_middleware(Admission, gate=context.gate)
    app.include_router(health.router)
    for module in MODULES:
        app.include_router(module.router, dependencies=[Depends(refuse_nul)])
    return app
