"""JSON bodies, parsed beside the event loop: a large one would hold up all other requests."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Annotated, Any

from fastapi import Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.routing import APIRoute
from pydantic import AfterValidator

from tidegauge_probes.documents.reader import read_json
from tidegauge_probes.errors import DocumentError
from tidegauge_service.api.problems import Problem


def _storable(text: str) -> str:
    """ValueError for what no database takes: U+0000, or half of a surrogate pair."""
    if "\0" in text or any("\ud800" <= c <= "\udfff" for c in text):
        raise ValueError("names and ids cannot contain a NUL character or a lone surrogate")
    return text


Name = Annotated[str, AfterValidator(_storable)]
"""Text of a body that may reach the database as it is."""


class JsonRoute(APIRoute):
    """A route whose JSON body is parsed by a thread. FastAPI parses it on the event loop."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Return the handler, which gets a request that parses its body elsewhere."""
        handler = super().get_route_handler()

        async def handle(request: Request) -> Response:
            return await handler(_JsonRequest(request.scope, request.receive))

        return handle


class _JsonRequest(Request):
    async def json(self) -> Any:
        return await run_in_threadpool(_parsed, await self.body())


def _parsed(body: bytes) -> Any:
    """Return the value, read as strictly as a file: Problem 422 for NaN, or a key given twice."""
    try:
        return read_json(body, "the body")
    except DocumentError as error:
        raise Problem(422, "invalid_body", str(error)) from error
