"""Errors as ``application/problem+json`` (RFC 9457), each with a code that the docs list."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from starlette.exceptions import HTTPException

from tidegauge_probes.errors import TidegaugeError
from tidegauge_service.errors import StoreError

log = structlog.get_logger()

RETRY_AFTER_S = 5

CODES: dict[str, str] = {
    "unauthorized": "The token is missing or wrong.",
    "not_found": "There is no such address.",
    "method_not_allowed": "The address does not take this method.",
    "unknown_stream": "There is no stream of that name.",
    "unknown_alert": "There is no alert of that id.",
    "unknown_dead_letter": "There is no dead letter at that position.",
    "unknown_version": "The stream has no version of that id or role.",
    "invalid_probes": "The document is no ProbeSet of templates.",
    "change_refused": "The versions cannot be changed like that; nothing was.",
    "not_a_log": "The stream does not take events by HTTP.",
    "incomplete_body": "The body ended before it was complete.",
    "body_too_large": "The body is larger than the stream takes at once.",
    "unsupported_media_type": "The body is of a type that is not read.",
    "invalid_events": "The body holds something that is no event; nothing was appended.",
    "idempotency_key_reused": "The Idempotency-Key was used for another body.",
    "backlog_full": "Too many events wait to be counted; try again later.",
    "invalid_parameter": "A parameter is of the wrong type or form.",
    "invalid_cursor": "The cursor is not one that a page gave out.",
    "database_unavailable": "The database cannot be used right now; try again.",
    "internal_error": "An error of the service itself; its log says more.",
}


class Problem(Exception):  # noqa: N818  (RFC 9457's word)
    """An error to tell the caller."""

    def __init__(
        self, status: int, code: str, detail: str, *, retry_after_s: int | None = None
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.code = code
        self.detail = detail
        self.retry_after_s = retry_after_s


def problem_response(problem: Problem, **more: Any) -> JSONResponse:
    """Return the problem as JSON."""
    body = {
        "type": f"urn:tidegauge:problem:{problem.code}",
        "title": CODES[problem.code],
        "status": problem.status,
        "code": problem.code,
        "detail": problem.detail,
        **more,
    }
    headers = {"WWW-Authenticate": "Bearer"} if problem.status == HTTPStatus.UNAUTHORIZED else {}
    if problem.retry_after_s is not None:
        headers["Retry-After"] = str(problem.retry_after_s)
    return JSONResponse(body, problem.status, headers, media_type="application/problem+json")


def install(app: FastAPI) -> None:
    """Answer every error of the app as a problem."""

    @app.exception_handler(Problem)
    def _problem(_request: Request, error: Problem) -> Response:
        return problem_response(error)

    @app.exception_handler(RequestValidationError)
    def _invalid(_request: Request, error: RequestValidationError) -> Response:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        problem = Problem(422, "invalid_parameter", f"{where}: {first['msg']}")
        return problem_response(problem)

    @app.exception_handler(HTTPException)
    def _http(request: Request, error: HTTPException) -> Response:
        known = {404: "not_found", 405: "method_not_allowed"}
        code = known.get(error.status_code, "internal_error")
        return problem_response(Problem(error.status_code, code, str(request.url.path)))

    @app.exception_handler(TidegaugeError)
    def _ours(request: Request, error: TidegaugeError) -> Response:
        log.error("request_failed", path=request.url.path, error=str(error))
        if isinstance(error, StoreError):
            unavailable = Problem(
                503, "database_unavailable", str(error), retry_after_s=RETRY_AFTER_S
            )
            return problem_response(unavailable)
        return problem_response(Problem(500, "internal_error", str(error)))
