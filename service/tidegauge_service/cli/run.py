"""``tidegauge run``: the service in one process."""

from __future__ import annotations

import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from tidegauge_service import logs
from tidegauge_service.auth import new_token
from tidegauge_service.cli.terminal import err, opened, settings_of
from tidegauge_service.clock import now_ms
from tidegauge_service.errors import ServiceError
from tidegauge_service.pipeline import Pipeline, open_pipeline
from tidegauge_service.server import Server, Service, create_service_app
from tidegauge_service.settings import Settings
from tidegauge_service.store.engine import Database
from tidegauge_service.stream_config import load_stream


def run(
    context: typer.Context,
    streams: Annotated[list[Path], typer.Argument(help="One or more stream files.")],
    host: Annotated[str | None, typer.Option(help="Address to listen on.")] = None,
    port: Annotated[int | None, typer.Option(help="Port to listen on; 0 takes a free one.")] = None,
    api: Annotated[bool, typer.Option(help="Serve API, page and metrics.")] = True,  # noqa: FBT002
    drain: Annotated[  # noqa: FBT002
        bool, typer.Option("--drain", help="Read to the present end, close all windows, and stop.")
    ] = False,
) -> None:
    """Watch streams: consume, judge, alert, and serve the page, the API and the metrics.

    Several processes may run the same stream: they share its partitions.
    """
    settings = settings_of(context, host=host, port=port)
    logs.configure(settings.log_level)
    with opened(settings) as database:
        service = _open(streams, settings, database)
        if drain:
            try:
                service.drain()
            finally:
                service.stop()
            return
        service.start()
        try:
            _wait(service, settings, database, serve=api)
        finally:
            service.stop()
        if service.health.fatal is not None:
            raise service.health.fatal


def _open(paths: Sequence[Path], settings: Settings, database: Database) -> Service:
    pipelines: list[Pipeline] = []
    try:
        # One by one: those that are open must be closed if the next one fails.
        pipelines.extend(
            open_pipeline(load_stream(path), settings, database, now_ms) for path in paths
        )
        return Service(database, pipelines, settings, now_ms)
    except Exception:
        for pipeline in pipelines:
            pipeline.close()
        raise


def _wait(service: Service, settings: Settings, database: Database, *, serve: bool) -> None:
    """Serve until a signal, or until a stream halts."""
    # Uvicorn raises the signal again when it has stopped; this handler then outlives it, and
    # the workers get to finish what they do.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: service.stopping.set())
    if not serve:
        service.stopping.wait()
        return
    token = settings.token.get_secret_value() if settings.token else new_token()
    app = create_service_app(database, service.health, token, now_ms)
    server = Server(app, settings.host, settings.port, service.stopping)
    if settings.token is None:
        shown = f"http://{settings.host}:{settings.port}/login?token={token}"
        err.print(f"open {shown}", highlight=False, soft_wrap=True)
    try:
        server.run()
    except SystemExit as error:
        msg = (
            f"cannot listen on {settings.host}:{settings.port}: is the port taken? Choose another "
            "with --port or TIDEGAUGE_PORT"
        )
        raise ServiceError(msg) from error
    finally:
        sys.stderr.flush()
