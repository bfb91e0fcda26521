"""Bodies that hold a document are read as strictly as its file would be."""

from __future__ import annotations

from fastapi import Request

from tidegauge_probes.documents import read_json
from tidegauge_probes.errors import DocumentError
from tidegauge_service.api.problems import Problem


async def refuse_repeated_keys(request: Request) -> None:
    """Problem 422 for a key that is there twice, of which FastAPI would take the last.

    What is no JSON at all is left to FastAPI.
    """
    body = await request.body()  # kept by the request, for FastAPI
    if not body.lstrip().startswith(b"{"):
        return
    try:
        read_json(body, "body")
    except DocumentError as error:
        raise Problem(422, "invalid_parameter", str(error)) from error
