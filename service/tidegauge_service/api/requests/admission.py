"""The token is checked before anything else of a request is looked at, its body above all."""

from __future__ import annotations

from typing import Final

from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from tidegauge_service.api.auth import COOKIE, TokenAuth
from tidegauge_service.api.problems import Problem, answer_to

OPEN: Final = frozenset({"/healthz", "/readyz", "/login", "/api/v1/openapi.json"})
"""What answers without the token."""


class Admission:
    """Answers 401 to every request without the token, whatever its address and method.

    Middleware, because FastAPI reads and parses a body before it asks any dependency: then
    strangers could make it parse what they like.
    """

    def __init__(self, app: ASGIApp, gate: TokenAuth) -> None:
        self._app = app
        self._gate = gate

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, or let the request go on."""
        if scope["type"] == "lifespan" or scope["path"] in OPEN or self._admits(scope):
            await self._app(scope, receive, send)
            return
        problem = Problem(401, "unauthorized", _way_in(scope))
        answer = answer_to(problem, Request(scope).headers.get("accept", ""))
        await answer(scope, receive, send)

    def _admits(self, scope: Scope) -> bool:
        request = Request(scope)
        cookie = request.cookies.get(COOKIE)
        return self._gate.opens_for(request.headers.get("authorization"), cookie)


def _way_in(scope: Scope) -> str:
    """Say how to present the token: people in a browser cannot send a header."""
    source = "TOKEN is TIDEGAUGE_TOKEN, or was printed when tidegauge started"
    if "text/html" in Request(scope).headers.get("accept", ""):
        return f"open /login?token=TOKEN in this browser; {source}"
    return f"send `Authorization: Bearer TOKEN`; {source}"
