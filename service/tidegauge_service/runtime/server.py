"""What is served by HTTP: API, page, metrics and login."""

from __future__ import annotations

import asyncio
import errno
import logging
import resource
import threading
from collections.abc import Sequence
from types import FrameType
from typing import Annotated, Any

import uvicorn
from fastapi import FastAPI, Query
from fastapi.responses import RedirectResponse, Response
from prometheus_client import CollectorRegistry

from tidegauge_service.api.app import create_app
from tidegauge_service.api.auth import COOKIE, TokenAuth
from tidegauge_service.api.context import ApiContext
from tidegauge_service.api.problems import Problem
from tidegauge_service.api.requests.connections import protocol
from tidegauge_service.clock import Clock
from tidegauge_service.ingest.codec.rejection import DeadLetterReason
from tidegauge_service.logs import Throttle
from tidegauge_service.metrics import meters
from tidegauge_service.metrics.exposition import Collector
from tidegauge_service.metrics.snapshot import Snapshot, take_snapshot
from tidegauge_service.runtime.health import Health
from tidegauge_service.store.engine import Database
from tidegauge_service.web.pages.routes import pages

logger = logging.getLogger("uvicorn.error")

_THROTTLE = Throttle()

REQUEST_GRACE_S = 5
"""How long a stop waits for requests in flight."""

MOST_CONNECTIONS = 1_000
"""Maximum concurrent connections, if there are enough descriptors."""

MOST_DESCRIPTORS = 65_536

RESERVED = 128
"""Descriptors reserved for the database, the workers' pipes, and files."""

BACKLOG = 128
"""Backlog of connections that the kernel holds, all accepted in one go."""

SNAPSHOT_SECONDS = 2
"""Minimum interval at which /metrics reads its figures from the database."""


def create_service_app(
    database: Database,
    health: Health,
    token: str,
    clock: Clock,
    *,
    meters_of: Sequence[CollectorRegistry] = (meters.REGISTRY,),
) -> FastAPI:
    """Return the application: API, page and login.

    *meters_of*: the figures of the processes that count (this one, unless there are workers).
    """
    gate = TokenAuth(token)

    def read() -> Snapshot:
        with database.read() as connection:
            return take_snapshot(connection, clock())

    collector = Collector(read, ttl_s=SNAPSHOT_SECONDS, others=meters_of)
    figures, reasons = collector.registry, frozenset(str(reason) for reason in DeadLetterReason)
    app = create_app(
        ApiContext(database, clock, gate, figures, health.first, health.warnings, reasons)
    )

    @app.get("/login", include_in_schema=False)
    async def login(token: Annotated[str, Query()] = "") -> Response:
        """Take the token once and keep it in a cookie that scripts cannot read."""
        if not gate.accepts(token):
            raise Problem(
                401, "unauthorized", "open the address that tidegauge printed when it started"
            )
        response = RedirectResponse("/", status_code=303)
        response.set_cookie(COOKIE, token, httponly=True, samesite="lax")
        return response

    app.include_router(pages(database, clock))
    return app


def raise_descriptor_limit() -> None:
    """Let this process, and those it starts, have as many descriptors as they may."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    unlimited = hard == resource.RLIM_INFINITY
    wanted = MOST_DESCRIPTORS if unlimited else min(hard, MOST_DESCRIPTORS)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def most_connections() -> int:
    """Return how many connections there may be, so that descriptors are left for all else.

    Beyond that, as many as ``BACKLOG`` may be accepted before the first of them is looked at.
    """
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY:
        return MOST_CONNECTIONS
    return max(min(MOST_CONNECTIONS, soft - RESERVED - BACKLOG), 16)


class Server(uvicorn.Server):
    """Uvicorn that knows its address, and stops when the service does, and the other way round."""

    def __init__(self, app: FastAPI, host: str, port: int, stopping: threading.Event) -> None:
        super().__init__(
            uvicorn.Config(
                app,
                host=host,
                port=port,
                http=protocol(most_connections()),
                ws="none",
                log_level="warning",
                backlog=BACKLOG,
                timeout_graceful_shutdown=REQUEST_GRACE_S,
            )
        )
        logger.addFilter(_THROTTLE)  # after Config, which configures the logger
        self._stopping = stopping
        self.bound = threading.Event()

    async def startup(self, sockets: object = None) -> None:
        """Start to listen; ``bound`` is set when it does."""
        asyncio.get_running_loop().set_exception_handler(self._failed)
        await super().startup(sockets)  # type: ignore[arg-type]
        self.bound.set()

    def _failed(self, _loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """Log an error that no request is to blame for, e.g. that nothing can be accepted."""
        error = context.get("exception")
        # asyncio reports one failed accept up to BACKLOG times.
        refused = isinstance(error, OSError) and error.errno in {errno.EMFILE, errno.ENFILE}
        exc_info = None if refused or not isinstance(error, Exception) else error
        logger.error("%s: %s", context["message"], error, exc_info=exc_info)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Stop the service at once: it need not wait for requests under way."""
        self._stopping.set()
        super().handle_exit(sig, frame)

    async def on_tick(self, counter: int) -> bool:
        """Stop when the service has stopped."""
        return self._stopping.is_set() or await super().on_tick(counter)

    @property
    def port(self) -> int:
        """The port it listens on (it may have been 0 before)."""
        return int(self.servers[0].sockets[0].getsockname()[1])
