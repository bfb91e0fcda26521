"""Retraining candidates: pages as JSON, exports as NDJSON, CSV and Parquet."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import islice
from typing import IO, Annotated, Literal

from fastapi import APIRouter, Query, Request
from fastapi.responses import JSONResponse, Response, StreamingResponse
from pydantic import BaseModel
from starlette.types import Receive, Scope, Send

from tidegauge_service.api.context import Ctx, Cursor, Since, Until, find_stream
from tidegauge_service.api.filters import check_alert, check_lf, check_segment, span
from tidegauge_service.api.paging import from_cursor, to_cursor
from tidegauge_service.candidates import export
from tidegauge_service.candidates.export import ExportFormat
from tidegauge_service.candidates.proposal import ProposalReason
from tidegauge_service.store import candidates
from tidegauge_service.store.candidates import Candidate, CandidateFilter
from tidegauge_service.store.engine import Connection
from tidegauge_service.store.states import CandidateState

router = APIRouter(prefix="/api/v1/candidates", tags=["candidates"])

Format = Literal["json", "ndjson", "csv", "parquet"]

_ACCEPTED: dict[str, Format] = {
    "application/x-ndjson": "ndjson",
    "text/csv": "csv",
    "application/vnd.apache.parquet": "parquet",
    "application/json": "json",
}


class Candidates(BaseModel):
    """A page of candidates; `next` is the cursor of the following one."""

    items: list[export.CandidateRow]
    next: str | None


class SpooledResponse(StreamingResponse):
    """Sends a file, and closes it even if the client leaves before the first byte."""

    def __init__(self, file: IO[bytes], *, media_type: str, headers: Mapping[str, str]) -> None:
        super().__init__(export.chunks(file), media_type=media_type, headers=headers)
        self._file = file

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it (ASGI)."""
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._file.close()


@router.get(
    "",
    response_model=Candidates,
    responses={200: {"content": {kind: {} for kind in _ACCEPTED}}},
)
def list_candidates(
    request: Request,
    ctx: Ctx,
    stream: Annotated[str | None, Query(description="Name of the stream.")] = None,
    reason: Annotated[
        ProposalReason | None,
        Query(description="Why the record was chosen."),
    ] = None,
    alert: Annotated[
        str | None, Query(description="Id of the alert that it was proposed for.")
    ] = None,
    segment: Annotated[str | None, Query(description="e.g. party=D")] = None,
    lf: Annotated[str | None, Query(description="An LF that voted on it.")] = None,
    state: Annotated[CandidateState | None, Query(description="State of the candidate.")] = None,
    since: Since = None,
    until: Until = None,
    limit: Annotated[
        int | None,
        Query(
            ge=1, lt=2**31, description="Maximum number of items; a JSON page has at most 1,000."
        ),
    ] = None,
    cursor: Cursor = None,
    format: Annotated[  # noqa: A002  (the parameter's public name)
        Format | None, Query(description="Overrides the Accept header.")
    ] = None,
) -> Response:
    """List candidates by window. NDJSON, CSV and Parquet hold all of them, or `limit`."""
    since_ms, until_ms = span(since, until)
    wanted = CandidateFilter(
        stream=stream,
        reason=reason,
        alert_id=alert,
        segment=segment,
        lf=lf,
        state=state,
        since_ms=since_ms,
        until_ms=until_ms,
    )
    chosen = format or _accepted(request.headers.get("accept", ""))
    with ctx.database.read() as connection:
        _check(connection, wanted)
        if chosen == "json":
            return _page(connection, wanted, min(limit or 100, 1_000), cursor)
        found = islice(candidates.every(connection, wanted), limit)
        file = export.spooled(ExportFormat(chosen), found)
    media = next(kind for kind, name in _ACCEPTED.items() if name == chosen)
    headers = {"Content-Disposition": f'attachment; filename="candidates.{chosen}"'}
    return SpooledResponse(file, media_type=media, headers=headers)


def _check(connection: Connection, wanted: CandidateFilter) -> None:
    """Problem 404 if a filter names what does not exist."""
    row = None if wanted.stream is None else find_stream(connection, wanted.stream)
    check_lf(connection, row, wanted.lf)
    check_segment(connection, row, wanted.segment)
    check_alert(connection, wanted.alert_id)


def _accepted(accept: str) -> Format:
    """Return the first format that the Accept header names, JSON by default."""
    kinds = (part.partition(";")[0].strip() for part in accept.split(","))
    return next((_ACCEPTED[kind] for kind in kinds if kind in _ACCEPTED), "json")


def _page(
    connection: Connection, wanted: CandidateFilter, limit: int, cursor: str | None
) -> Response:
    found = candidates.page(connection, wanted, limit, from_cursor(cursor))
    following = _following(connection, wanted, found, limit)
    items = [export.row(candidate) for candidate in found]
    return JSONResponse({"items": items, "next": following})


def _following(
    connection: Connection, wanted: CandidateFilter, found: list[Candidate], limit: int
) -> str | None:
    """Return the cursor of the next page: after a full one, and after one that bytes have ended."""
    if not found:
        return None
    place = (found[-1].window_start_ms, found[-1].id)
    more = len(found) == limit or candidates.page(connection, wanted, 1, place)
    return to_cursor(place) if more else None
