"""What every route needs: the database, the time, the gate; and parameters they share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated
from urllib.parse import unquote

from fastapi import Depends, Query, Request
from prometheus_client import CollectorRegistry

from tidegauge_service.api.auth import TokenAuth
from tidegauge_service.api.problems import Problem
from tidegauge_service.clock import Clock, from_iso
from tidegauge_service.store import streams
from tidegauge_service.store.engine import Connection, Database
from tidegauge_service.store.streams import StreamRow


@dataclass(frozen=True)
class ApiContext:
    """The parts of one running service that its API answers from."""

    database: Database
    clock: Clock
    gate: TokenAuth
    metrics: CollectorRegistry
    """What Prometheus is shown."""
    ready: Callable[[], str | None]
    """Returns what is not ready yet, or None."""
    warnings: Callable[[], list[str]] = list
    """Returns what is wrong, but not with tidegauge."""
    reasons: frozenset[str] | None = None
    """Why an input can be a dead letter; None: any text is taken for a reason."""


async def context(request: Request) -> ApiContext:
    """Return the running service's parts. Async: it must not wait for a free thread."""
    found: ApiContext = request.app.state.context
    return found


Ctx = Annotated[ApiContext, Depends(context)]


async def refuse_nul(request: Request) -> None:
    """Problem 422 for U+0000 in the address: PostgreSQL refuses even to be asked for it."""
    query = request.scope["query_string"].decode("latin-1")
    if "\0" in request.scope["path"] + unquote(query):
        raise Problem(422, "invalid_parameter", "names and ids cannot contain a NUL character")


def find_stream(connection: Connection, name: str) -> StreamRow:
    """Return the stream of that name; Problem 404 with the names there are."""
    found = streams.find(connection, name)
    if found is None:
        known = ", ".join(streams.names(streams.select_streams(connection))) or "none yet"
        raise Problem(404, "unknown_stream", f"'{name}'; streams: {known}")
    return found


def moment(text: str | None, name: str) -> int | None:
    """Read an ISO-8601 parameter; Problem 422 otherwise."""
    if text is None:
        return None
    try:
        return from_iso(text)
    except ValueError as error:
        detail = f"{name}: '{text}' is not ISO-8601, e.g. 2020-03-11 or 2020-03-11T06:00:00Z"
        raise Problem(422, "invalid_parameter", detail) from error


Since = Annotated[str | None, Query(description="From this time on (ISO-8601), inclusive.")]
Until = Annotated[str | None, Query(description="Up to this time (ISO-8601), exclusive.")]
Cursor = Annotated[str | None, Query(description="The `next` of the previous page.")]
Limit = Annotated[int, Query(ge=1, le=1000, description="Maximum number of items on a page.")]
