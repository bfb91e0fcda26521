"""Is it alive, is it ready, and its figures for Prometheus."""

from __future__ import annotations

from fastapi import APIRouter, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import JSONResponse, Response
from prometheus_client.exposition import choose_encoder

from tidegauge_service.api.context import ApiContext, Ctx
from tidegauge_service.errors import StoreError
from tidegauge_service.store.windows import sight

router = APIRouter(tags=["health"])


# Async: liveness needs neither a thread, which a slow database may hold, nor the database.
@router.get("/healthz")
async def healthz() -> dict[str, str]:
    """Say that the process answers."""
    return {"status": "ok"}


@router.get("/readyz", responses={503: {"description": "Something is not ready."}})
async def readyz(ctx: Ctx) -> Response:
    """Say whether database and sources work; 503 with the reason if not.

    `warnings`: receivers that do not answer or refuse messages, and streams that are blind, with
    the causes. That is no reason to take the process out of service: another would see no more.
    """
    problem, warnings = ctx.ready(), ctx.warnings()
    blind = {} if problem else await run_in_threadpool(_blind, ctx)
    more = ({"warnings": warnings} if warnings else {}) | ({"blind": blind} if blind else {})
    if problem is None:
        return JSONResponse({"status": "ready", **more})
    return JSONResponse({"status": "not ready", "reason": problem, **more}, 503)


def _blind(ctx: ApiContext) -> dict[str, list[str]]:
    try:
        return sight.blind_streams(ctx.database)
    except StoreError:  # the workers say so themselves, in `reason`
        return {}


# A plain `def`: rendering many series on the event loop would block all other requests.
@router.get("/metrics", response_class=Response)
def metrics(ctx: Ctx, request: Request) -> Response:
    """Return the figures in Prometheus' format."""
    try:
        encode, content_type = choose_encoder(request.headers.get("accept", ""))
    except (TypeError, ValueError):  # it asks for a version that is none
        encode, content_type = choose_encoder("")
    return Response(encode(ctx.collector.registry), headers={"Content-Type": content_type})
