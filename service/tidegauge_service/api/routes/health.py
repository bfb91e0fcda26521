"""Is it alive, is it ready, and its figures for Prometheus."""

from __future__ import annotations

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response
from prometheus_client.exposition import choose_encoder

from tidegauge_service.api.blind_streams import BlindStreams
from tidegauge_service.api.context import Ctx

router = APIRouter(tags=["health"])


# Async: liveness needs neither a thread, which a slow database may hold, nor the database.
@router.get("/healthz")
async def healthz() -> dict[str, str]:
    """Say that the process answers."""
    return {"status": "ok"}


@router.get("/readyz", responses={503: {"description": "Something is not ready."}})
async def readyz(request: Request, ctx: Ctx) -> Response:
    """Say whether database and sources work; 503 with the reason if not.

    `warnings`: receivers that do not answer or refuse messages, and streams that are blind, with
    the causes. That is no reason to take the process out of service: another would see no more.
    """
    problem, warnings = ctx.ready(), ctx.warnings()
    watched: BlindStreams = request.app.state.blind_streams
    blind = {} if problem else await watched.known()
    more = ({"warnings": warnings} if warnings else {}) | ({"blind": dict(blind)} if blind else {})
    if problem is None:
        return JSONResponse({"status": "ready", **more})
    return JSONResponse({"status": "not ready", "reason": problem, **more}, 503)


# A plain `def`: rendering many series on the event loop would block all other requests.
@router.get("/metrics", response_class=Response)
def metrics(ctx: Ctx, request: Request) -> Response:
    """Return the figures in Prometheus' format."""
    try:
        encode, content_type = choose_encoder(request.headers.get("accept", ""))
    except (TypeError, ValueError):  # it asks for a version that is none
        encode, content_type = choose_encoder("")
    return Response(encode(ctx.metrics), headers={"Content-Type": content_type})
