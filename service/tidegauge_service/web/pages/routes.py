"""The routes of the page: HTML, pictures, style. Reading only; nothing runs in a browser."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from importlib import resources
from typing import Annotated, Final

from fastapi import APIRouter, Query, Request
from fastapi.responses import HTMLResponse, Response
from starlette.exceptions import HTTPException

from tidegauge_alerts.model import AlertState
from tidegauge_probes.findings import ALL, SeriesKey, SeriesKind
from tidegauge_service.clock import Clock
from tidegauge_service.store import deployment_counts, streams
from tidegauge_service.store.alerting import alerts
from tidegauge_service.store.engine import Connection, Database
from tidegauge_service.store.streams import StreamRow
from tidegauge_service.store.windows import forecast, precision, queries, skew
from tidegauge_service.store.windows.queries import StreamSummary
from tidegauge_service.web import addresses
from tidegauge_service.web.charts import renderer, specs
from tidegauge_service.web.charts.histories import history
from tidegauge_service.web.charts.themes import THEMES, ThemeName
from tidegauge_service.web.environment import TEMPLATES
from tidegauge_service.web.pages import overview
from tidegauge_service.web.pages.overview import Choice, Detail

POLICY: Final = (
    "default-src 'none'; img-src 'self'; style-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'"
)
"""What a browser may do with the page: show its style and its pictures."""

HEADERS: Final = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cache-Control": "private, no-cache",
}
STATIC: Final = {"page.css": "text/css; charset=utf-8", "icon.svg": "image/svg+xml"}
RESOLVED_READ: Final = 200
"""Of the alerts that opened last, the latest resolved are among this many."""

Name = Annotated[str, Query(max_length=200)]
Windows = Annotated[int, Query(ge=1, le=addresses.MOST_WINDOWS)]


def pages(database: Database, clock: Clock) -> APIRouter:
    """Return the routes of the page; what includes them guards them."""
    router = APIRouter(include_in_schema=False)

    # Plain `def`: the database and the drawing block, so they run in the thread pool.
    @router.get("/")
    def front(
        stream: Name | None = None, segment: str = ALL, windows: Windows = addresses.WINDOWS
    ) -> Response:
        with database.read() as connection:
            summaries = queries.summaries(connection)
            chosen = overview.choose(summaries, stream)
            choice = Choice(chosen.stream.name if chosen else "", _storable(segment), windows)
            detail = _detail(connection, chosen, choice) if chosen else None
        missing = stream is not None and chosen is None
        page = overview.overview(summaries, detail, clock(), missing=missing)
        text = TEMPLATES.get_template("overview.html").render(page=page)
        return HTMLResponse(text, 404 if missing else 200, HEADERS)

    @router.get("/charts/heatmap.svg")
    def heat_map(
        request: Request,
        stream: Name,
        segment: str = ALL,
        windows: Windows = addresses.WINDOWS,
        theme: ThemeName = ThemeName.LIGHT,
    ) -> Response:
        with database.read() as connection:
            row = _find(connection, stream)
            figures = queries.heat_map(connection, row, windows, _storable(segment))
        return _drawn(request, specs.heat_map(figures, THEMES[theme], zone=row.timezone))

    @router.get("/charts/series.svg")
    def series(  # noqa: PLR0917  (the parts of a series' name)
        request: Request,
        stream: Name,
        series: SeriesKind,
        segment: str = ALL,
        probe: str = "",
        other: str = "",
        label: str = "",
        windows: Windows = addresses.WINDOWS,
        theme: ThemeName = ThemeName.LIGHT,
    ) -> Response:
        key = SeriesKey(series, *(_storable(part) for part in (segment, probe, other, label)))
        with database.read() as connection:
            row = _find(connection, stream)
            found = history(connection, row, key, windows)
        return _drawn(request, specs.series(found, THEMES[theme], zone=row.timezone))

    @router.get("/static/{name}")
    def static(request: Request, name: str) -> Response:
        if name not in STATIC:
            raise HTTPException(404)
        content = resources.files("tidegauge_service.web").joinpath("static", name).read_bytes()
        tag = hashlib.blake2b(content, digest_size=12).hexdigest()
        return _unless_known(request, tag, lambda: content, STATIC[name])

    return router


def _detail(connection: Connection, chosen: StreamSummary, choice: Choice) -> Detail:
    """Read what the page shows of the chosen stream."""
    figures = queries.heat_map(connection, chosen.stream, choice.windows, choice.segment)
    last = chosen.last_window
    judged = precision.latest(connection, chosen.stream, None if last is None else last.start_ms)
    firing, pending = (
        alerts.page(connection, stream=choice.stream, state=state, limit=1_000)
        for state in (AlertState.FIRING, AlertState.PENDING)
    )
    resolved = alerts.page(
        connection, stream=choice.stream, state=AlertState.RESOLVED, limit=RESOLVED_READ
    )
    return overview.detail(
        chosen,
        choice,
        figures,
        [*firing, *pending],
        resolved,
        judged=judged,
        skew=skew.of_stream(connection, chosen.stream),
        forecast=forecast.of_stream(connection, chosen.stream),
        deployments=deployment_counts.listing(connection, chosen.stream),
    )


def _find(connection: Connection, name: str) -> StreamRow:
    found = streams.find(connection, name)
    if found is None:
        raise HTTPException(404)
    return found


def _storable(text: str) -> str:
    """Return *text* without U+0000, which PostgreSQL refuses even to be asked for."""
    return text.replace("\0", "\ufffd")


def _drawn(request: Request, spec: renderer.Spec) -> Response:
    return _unless_known(
        request,
        renderer.fingerprint(spec),
        lambda: renderer.to_svg(spec).encode(),
        "image/svg+xml",
    )


def _unless_known(
    request: Request, tag: str, content: Callable[[], bytes], media_type: str
) -> Response:
    """Return the content, or 304 if the browser has it: then it is not even drawn."""
    headers = {**HEADERS, "ETag": f'"{tag}"'}
    if headers["ETag"] in request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers=headers)
    return Response(content(), headers=headers, media_type=media_type)
