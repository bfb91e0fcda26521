"""Events by HTTP, for streams whose source is a `log`."""

from __future__ import annotations

from typing import Annotated, Any, Final

from fastapi import APIRouter, Header, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import JSONResponse, Response
from pydantic import BaseModel
from starlette.requests import ClientDisconnect

from tidegauge_service.api.context import ApiContext, Ctx, find_stream
from tidegauge_service.api.problems import RETRY_AFTER_S, Problem
from tidegauge_service.api.requests import bodies, event_body
from tidegauge_service.config.sources import LogSource
from tidegauge_service.config.stream_file import StreamConfig
from tidegauge_service.store import streams
from tidegauge_service.store.ingest import events
from tidegauge_service.store.ingest.events import BacklogFull, KeyReused
from tidegauge_service.store.streams import StreamRow

router = APIRouter(prefix="/api/v1/streams", tags=["events"])

REPEATED: Final = "Idempotency-Replayed"

_OBJECT: Final = {"type": "object"}
_BODY: Final[dict[str, Any]] = {
    "requestBody": {
        "required": True,
        "content": {
            event_body.JSON: {"schema": {"type": "array", "items": _OBJECT}},
            event_body.NDJSON[0]: {"schema": {"type": "string"}},
        },
    }
}


class EventsAccepted(BaseModel):
    """How many events were appended; duplicates came before and were not appended again."""

    appended: int
    duplicates: int


@router.post("/{name}/events", status_code=202, response_model=EventsAccepted, openapi_extra=_BODY)
async def append_events(
    name: str,
    request: Request,
    ctx: Ctx,
    idempotency_key: Annotated[
        str | None,
        Header(
            min_length=1,
            max_length=255,
            description="Repeating a request with its key returns the first answer.",
        ),
    ] = None,
) -> Response:
    """Append events to a stream of kind `log`; all of them are kept when this answers."""
    stream, config = await run_in_threadpool(_log, ctx, name)
    source = config.source
    assert isinstance(source, LogSource)  # noqa: S101  (_log has seen to it)
    body = await _read(request, source.max_request_bytes)

    def append() -> tuple[events.Appended, bool]:
        parsed = event_body.parse(body, request.headers.get("content-type", ""), config)
        known = events.Request(idempotency_key, events.digest(body)) if idempotency_key else None
        with ctx.database.write() as connection:
            return events.append(
                connection, stream, source, parsed, now_ms=ctx.clock(), request=known
            )

    try:
        answer, repeated = await run_in_threadpool(append)
    except BacklogFull as error:
        raise Problem(429, "backlog_full", str(error), retry_after_s=RETRY_AFTER_S) from error
    except KeyReused as error:
        raise Problem(422, "idempotency_key_reused", str(error)) from error
    said = {"appended": answer.appended, "duplicates": answer.duplicates}
    return JSONResponse(said, 202, {REPEATED: "true"} if repeated else {})


def _log(ctx: ApiContext, name: str) -> tuple[StreamRow, StreamConfig]:
    """Return a stream that takes events; Problem 404 or 409."""
    with ctx.database.read() as connection:
        stream = find_stream(connection, name)
        config = streams.config_of(connection, stream.id)
    if not isinstance(config.source, LogSource):
        detail = (
            f"'{name}' reads a {config.source.kind}: send its records there, or create another "
            "stream with `source: {kind: log}`"
        )
        raise Problem(409, "not_a_log", detail)
    return stream, config


async def _read(request: Request, most: int) -> bytes:
    """Return the body; Problem 400 or 413."""
    bodies.limit(request, most, _send_fewer)
    try:
        return await request.body()
    except ClientDisconnect as error:
        raise Problem(400, "incomplete_body", "the connection broke: send it again") from error


def _send_fewer(most: int) -> str:
    return f"source.max_request_bytes of the stream is {most}: send fewer events at once"
