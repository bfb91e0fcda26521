"""What is served by HTTP: API, page, metrics and login."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from types import FrameType
from typing import Annotated

import uvicorn
from fastapi import Depends, FastAPI, Query
from fastapi.responses import RedirectResponse, Response
from prometheus_client import CollectorRegistry

from tidegauge_service import meters
from tidegauge_service.api.app import create_app
from tidegauge_service.api.context import Context, authorize
from tidegauge_service.api.problems import Problem
from tidegauge_service.auth import COOKIE, Gate
from tidegauge_service.clock import Clock
from tidegauge_service.consuming import Health
from tidegauge_service.metrics import Collector
from tidegauge_service.snapshot import take_snapshot
from tidegauge_service.store.engine import Database
from tidegauge_service.web.views import pages

REQUEST_GRACE_S = 5
"""How long a stop waits for requests under way."""

SNAPSHOT_SECONDS = 2
"""Figures of /metrics are read from the database this often at most."""


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
    gate = Gate(token)
    collector = Collector(
        lambda: take_snapshot(database, clock()), ttl_s=SNAPSHOT_SECONDS, others=meters_of
    )
    app = create_app(Context(database, clock, gate, collector, health.first))

    @app.get("/login", include_in_schema=False)
    def login(token: Annotated[str, Query()] = "") -> Response:
        """Take the token once and keep it in a cookie that scripts cannot read."""
        if not gate.accepts(token):
            raise Problem(401, "unauthorized", "open the address that tidegauge printed at start")
        response = RedirectResponse("/", status_code=303)
        response.set_cookie(COOKIE, token, httponly=True, samesite="lax")
        return response

    app.include_router(pages(database, clock, authorize), dependencies=[Depends(authorize)])
    return app


class Server(uvicorn.Server):
    """Uvicorn that knows its address, and stops when the service does, and the other way round."""

    def __init__(self, app: FastAPI, host: str, port: int, stopping: threading.Event) -> None:
        super().__init__(
            uvicorn.Config(
                app,
                host=host,
                port=port,
                log_level="warning",
                timeout_graceful_shutdown=REQUEST_GRACE_S,
            )
        )
        self._stopping = stopping
        self.bound = threading.Event()

    async def startup(self, sockets: object = None) -> None:
        """Start to listen; ``bound`` is set when it does."""
        await super().startup(sockets)  # type: ignore[arg-type]
        self.bound.set()

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
