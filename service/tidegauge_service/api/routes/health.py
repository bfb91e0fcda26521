"""Is it alive, is it ready, and its figures for Prometheus."""

from __future__ import annotations

from fastapi import APIRouter, Depends, Request
from fastapi.responses import JSONResponse, Response
from prometheus_client.exposition import choose_encoder

from tidegauge_service.api.context import Ctx, authorize
from tidegauge_service.errors import StoreError
from tidegauge_service.store import sight

router = APIRouter(tags=["health"])


@router.get("/healthz")
def healthz() -> dict[str, str]:
    """Say that the process answers."""
    return {"status": "ok"}


@router.get("/readyz", responses={503: {"description": "Something is not ready."}})
def readyz(ctx: Ctx) -> Response:
    """Say whether database and sources work; 503 with the reason if not.

    A stream that is blind is named, with the causes. That is no reason to take the process out of
    service: another one would see no more.
    """
    problem = ctx.ready()
    if problem is not None:
        return JSONResponse({"status": "not ready", "reason": problem}, 503)
    try:
        blind = sight.blind_streams(ctx.database)
    except StoreError as error:  # the workers have not noticed yet
        return JSONResponse({"status": "not ready", "reason": str(error)}, 503)
    return JSONResponse({"status": "ready", **({"blind": blind} if blind else {})})


# A plain `def`: rendering many series on the event loop would block all other requests.
@router.get("/metrics", dependencies=[Depends(authorize)], response_class=Response)
def metrics(ctx: Ctx, request: Request) -> Response:
    """Return the figures in Prometheus' format."""
    encode, content_type = choose_encoder(request.headers.get("accept", ""))
    return Response(encode(ctx.collector.registry), headers={"Content-Type": content_type})
