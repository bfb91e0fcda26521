"""Exports that are not read to their end."""

from __future__ import annotations

import asyncio
import tempfile
from typing import Any

from starlette.requests import ClientDisconnect

from tidegauge_service.api.routes.candidates import SpooledResponse


def test_a_client_that_leaves_before_the_first_byte_leaves_no_file_open() -> None:
    file = tempfile.TemporaryFile()  # noqa: SIM115  (the response closes it)
    response = SpooledResponse(file, media_type="text/csv", headers={})

    async def receive() -> dict[str, Any]:
        return {"type": "http.disconnect"}

    async def send(_: Any) -> None:
        raise OSError

    async def serve() -> None:
        scope = {"type": "http", "method": "GET", "asgi": {"spec_version": "2.4"}}
        try:
            await response(scope, receive, send)
        except ClientDisconnect:
            return
        raise AssertionError

    asyncio.run(serve())
    assert file.closed
