"""Errors as ``application/problem+json`` (RFC 9457), each with a code that the docs list."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from http import HTTPStatus

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, JSONResponse, Response
from starlette.exceptions import HTTPException

from tidegauge_probes.errors import TidegaugeError
from tidegauge_service.errors import DataRefused, StoreError

log = structlog.get_logger()

RETRY_AFTER_S = 5

CODES: dict[str, str] = {
    "unauthorized": "The token is missing or wrong.",
    "invalid_request": "The request is not HTTP, or its head is too large.",
    "not_found": "There is no such address.",
    "method_not_allowed": "The address does not support this method.",
    "unknown_stream": "There is no stream with that name.",
    "unknown_lf": "There is no LF with that name.",
    "unknown_segment": "There is no such segment.",
    "unknown_alert": "There is no alert with that id.",
    "unknown_incident": "There is no incident with that id.",
    "unknown_dead_letter": "There is no dead letter at that position.",
    "unknown_deployment": "The stream has no deployment with that id or role.",
    "invalid_probes": "The document is not a valid ProbeSet of templates.",
    "change_refused": "The deployments cannot be changed like that; nothing was changed.",
    "not_a_log": "The stream does not accept events over HTTP.",
    "invalid_body": "The body is not JSON, or not what the route expects.",
    "incomplete_body": "The body ended before it was complete.",
    "invalid_encoding": "The body does not match its Content-Encoding.",
    "body_too_slow": "The body arrived too slowly.",
    "body_too_large": "The body is larger than the route accepts.",
    "unsupported_media_type": "The body has an unsupported media type.",
    "invalid_events": "The body contains an item that is not an event; nothing was appended.",
    "idempotency_key_reused": "The Idempotency-Key was already used for a different body.",
    "backlog_full": "Too many events are waiting to be counted; try again later.",
    "invalid_parameter": "A parameter has the wrong type or form.",
    "invalid_cursor": "The cursor did not come from a page of this list.",
    "overloaded": "Too many connections are open; try again.",
    "database_unavailable": "The database cannot be used right now; try again.",
    "internal_error": "An unexpected error; see the log.",
}


class Problem(HTTPException):
    """An error to tell the caller.

    An HTTPException, because FastAPI lets no other pass that is raised while it reads a body.
    """

    def __init__(
        self,
        status: int,
        code: str,
        detail: str,
        *,
        retry_after_s: int | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        found = dict(headers or {})
        if status == HTTPStatus.UNAUTHORIZED:
            found["WWW-Authenticate"] = "Bearer"
        if retry_after_s is not None:
            found["Retry-After"] = str(retry_after_s)
        super().__init__(status, detail, found)
        self.code = code


def problem_response(problem: Problem) -> JSONResponse:
    """Return the problem as JSON."""
    body = {
        "type": f"urn:tidegauge:problem:{problem.code}",
        "title": CODES[problem.code],
        "status": problem.status_code,
        "code": problem.code,
        "detail": problem.detail,
    }
    return JSONResponse(
        body, problem.status_code, problem.headers, media_type="application/problem+json"
    )


_PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<title>tidegauge: sign in</title>
<h1>tidegauge</h1>
<p>{title}</p>
<p>What to do: {detail}.</p>
</html>
"""


def answer_to(problem: Problem, accept: str) -> Response:
    """Return the problem as JSON, or, to a browser that has no valid token, as a page.

    *accept*: the header; only browsers ask for HTML.
    """
    if problem.status_code != HTTPStatus.UNAUTHORIZED or "text/html" not in accept:
        return problem_response(problem)
    page = _PAGE.format(title=escape(CODES[problem.code]), detail=escape(problem.detail))
    headers = {**(problem.headers or {}), "Content-Security-Policy": "default-src 'none'"}
    return HTMLResponse(page, problem.status_code, headers)


def of_http(error: HTTPException, path: str) -> Problem:
    """Return the problem for an error of FastAPI or Starlette."""
    known = {404: "not_found", 405: "method_not_allowed", 413: "body_too_large"}
    detail = path
    if error.status_code == HTTPStatus.NOT_FOUND and path.endswith("/"):
        detail = f"{path}: addresses do not end with a slash"
    elif error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
        detail = f"{path} only allows {(error.headers or {}).get('Allow', 'another method')}"
    fallback = "invalid_body" if error.status_code == HTTPStatus.BAD_REQUEST else "internal_error"
    code = known.get(error.status_code, fallback)
    return Problem(error.status_code, code, detail, headers=error.headers)


def of_ours(error: TidegaugeError) -> Problem:
    """Return the problem for an error of the service."""
    if isinstance(error, DataRefused):  # trying again would not help
        return Problem(422, "invalid_parameter", str(error))
    if isinstance(error, StoreError):
        return Problem(503, "database_unavailable", str(error), retry_after_s=RETRY_AFTER_S)
    return Problem(500, "internal_error", str(error))


def install(app: FastAPI) -> None:
    """Answer every error of the app as a problem.

    All of it runs on the event loop: an answer that needed a thread would wait for the requests
    that wait for the database.
    """

    @app.exception_handler(Problem)
    async def _problem(request: Request, error: Problem) -> Response:
        return answer_to(error, request.headers.get("accept", ""))

    @app.exception_handler(RequestValidationError)
    async def _invalid(_request: Request, error: RequestValidationError) -> Response:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        return problem_response(Problem(422, "invalid_parameter", f"{where}: {first['msg']}"))

    @app.exception_handler(HTTPException)
    async def _http(request: Request, error: HTTPException) -> Response:
        return problem_response(of_http(error, request.scope["path"]))

    @app.exception_handler(TidegaugeError)
    async def _ours(request: Request, error: TidegaugeError) -> Response:
        log.error("request_failed", path=request.scope["path"], error=str(error))
        return problem_response(of_ours(error))

    @app.exception_handler(Exception)
    async def _unexpected(_request: Request, _error: Exception) -> Response:
        # The server writes the traceback to the log: Starlette raises the error again.
        detail = "an unexpected error: see the log of tidegauge"
        return problem_response(Problem(500, "internal_error", detail))
