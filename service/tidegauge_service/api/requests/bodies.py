"""Bodies of requests: how large, how slow, and how packed they may be, for all routes alike."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

from fastapi.concurrency import run_in_threadpool
from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tidegauge_service.api.problems import Problem
from tidegauge_service.api.requests import inflation

MOST_BYTES: Final = 4 * 2**20
"""What a body may have, packed and unpacked, where the route does not say otherwise."""

PATIENCE_S: Final = 15.0
SLOWEST: Final = 4_096.0
"""A body may keep us waiting for ``PATIENCE_S``, and for a second more for each ``SLOWEST`` bytes
that have come. Only time in which we wait for the client counts."""

_BODY: Final = "tidegauge.body"

Advice = Callable[[int], str]
"""Says what to do about a body that has more than so many bytes."""


def _send_less(most: int) -> str:
    return f"the body is larger than {most} bytes, the maximum"


class Bodies:
    """Middleware that limits, times and unpacks bodies as the routes read them.

    Nothing is read of a body that no route asks for.
    """

    def __init__(self, app: ASGIApp, *, patience_s: float = PATIENCE_S) -> None:
        self._app = app
        self._patience_s = patience_s

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let the request go on, with a body that is guarded."""
        if scope["type"] == "http":
            body = Body(receive, Headers(scope=scope), self._patience_s)
            scope[_BODY] = body
            receive = body.receive
        await self._app(scope, receive, send)


def limit(request: Request, most: int, advice: Advice) -> None:
    """Set what the body of a request may have, before it is read."""
    body: Body = request.scope[_BODY]
    body.most, body.advice = most, advice


class Body:
    """The body of one request. ``most``: bytes, packed as well as unpacked."""

    def __init__(self, receive: Receive, headers: Headers, patience_s: float) -> None:
        self.most = MOST_BYTES
        self.advice: Advice = _send_less
        self._receive = receive
        self._headers = headers
        self._left_s = patience_s
        self._came = 0
        self._checked = False

    async def receive(self) -> Message:
        """Return the next message; Problem 400, 408, 413 or 415 if the body cannot be taken."""
        if self._checked:
            return await self._next()
        self._checked = True
        coding = inflation.coding(self._headers.get("content-encoding", ""))
        announced = self._headers.get("content-length", "0")
        if announced.isdecimal() and int(announced) > self.most:
            raise self._too_large()
        return await (self._unpacked(coding) if coding else self._next())

    async def _next(self) -> Message:
        clock = asyncio.get_running_loop().time
        before = clock()
        try:
            async with asyncio.timeout(max(self._left_s, 0)):
                message = await self._receive()
        except TimeoutError as error:
            raise _too_slow() from error
        came = len(message.get("body", b""))
        self._left_s += came / SLOWEST - (clock() - before)
        self._came += came
        if self._came > self.most:
            raise self._too_large()
        return message

    async def _unpacked(self, coding: inflation.Coding) -> Message:
        packed, more = bytearray(), True
        while more:
            message = await self._next()
            if message["type"] != "http.request":
                return message
            packed += message.get("body", b"")
            more = message.get("more_body", False)
        try:
            body = await run_in_threadpool(inflation.inflate, bytes(packed), coding, self.most)
        except inflation.BodyTooLarge as error:
            raise self._too_large() from error
        return {"type": "http.request", "body": body, "more_body": False}

    def _too_large(self) -> Problem:
        return Problem(413, "body_too_large", self.advice(self.most))


def _too_slow() -> Problem:
    detail = "the body arrived too slowly: send it again, faster"
    return Problem(408, "body_too_slow", detail, headers={"Connection": "close"})
