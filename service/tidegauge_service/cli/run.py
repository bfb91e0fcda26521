"""``tidegauge run`` and ``tidegauge consume``: the service, with and without its page."""

from __future__ import annotations

import os
import signal
import socket
import sys
import tempfile
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Annotated

import typer
from prometheus_client import CollectorRegistry
from prometheus_client.multiprocess import MultiProcessCollector

from tidegauge_service import logs
from tidegauge_service.cli.console.database import opened
from tidegauge_service.cli.console.outcome import show_outcome
from tidegauge_service.cli.console.terminal import err, settings_of
from tidegauge_service.clock import now_ms
from tidegauge_service.config.settings import Settings
from tidegauge_service.config.stream_file import StreamConfig, load_stream
from tidegauge_service.config.stream_names import check_names_differ
from tidegauge_service.config.tokens import new_token
from tidegauge_service.errors import ServiceError, StoreError
from tidegauge_service.runtime.listener import bind, link, listen
from tidegauge_service.runtime.pipeline import check_receivers
from tidegauge_service.runtime.server import Server, create_service_app, raise_descriptor_limit
from tidegauge_service.runtime.supervisor import Supervisor
from tidegauge_service.runtime.worker_slot import worker_slots
from tidegauge_service.store.engine import Database

Workers = Annotated[int, typer.Option(min=1, help="Worker processes per stream.")]
Drain = Annotated[
    bool, typer.Option("--drain", help="Read to the current end, close all windows, and exit.")
]


def run(
    context: typer.Context,
    streams: Annotated[list[Path], typer.Argument(help="One or more stream files.")],
    host: Annotated[str | None, typer.Option(help="Address to listen on.")] = None,
    port: Annotated[int | None, typer.Option(help="Port to listen on; 0 picks a free one.")] = None,
    api: Annotated[bool, typer.Option(help="Serve the page, API and metrics.")] = True,  # noqa: FBT002
    workers: Workers = 1,
    drain: Drain = False,  # noqa: FBT002
) -> None:
    """Watch streams: consume, evaluate, alert, and serve the page, API and metrics.

    Each stream gets its own worker processes, which this process supervises. You can run the same
    stream several times, on one or more machines: all workers share its partitions.
    """
    settings = settings_of(context, host=host, port=port)
    logs.configure(settings.log_level)
    raise_descriptor_limit()
    configs = _load(streams, settings)
    serves = api and not drain
    with (
        bind(settings.host, settings.port) if serves else nullcontext() as listener,
        _meters() as folder,
        opened(settings) as database,
    ):
        supervisor = Supervisor(
            worker_slots(configs, workers, static=False),
            settings,
            database,
            now_ms,
            drain=drain,
            # Where the workers' figures of themselves are, for /metrics to add up.
            environment={"PROMETHEUS_MULTIPROC_DIR": folder},
        )
        _stop_on_signals(supervisor)
        if listener is None:
            supervisor.run()
            _conclude(supervisor, database, configs, drain=drain)
        else:
            _serve(supervisor, settings, database, folder, listener)


def consume(
    context: typer.Context,
    stream: Annotated[Path, typer.Argument(help="The stream file.")],
    workers: Workers = 1,
    drain: Drain = False,  # noqa: FBT002
) -> None:
    """Watch a stream without serving the page, API or metrics.

    Starts the worker processes, and restarts any that die or hang.
    """
    settings = settings_of(context)
    logs.configure(settings.log_level)
    configs = _load([stream], settings)
    with opened(settings) as database:
        supervisor = Supervisor(
            worker_slots(configs, workers, static=True), settings, database, now_ms, drain=drain
        )
        _stop_on_signals(supervisor)
        supervisor.run()
        _conclude(supervisor, database, configs, drain=drain)


def _conclude(
    supervisor: Supervisor, database: Database, configs: Sequence[StreamConfig], *, drain: bool
) -> None:
    """Say what a drain has brought, unless a signal has cut it short."""
    if drain and supervisor.finished:
        show_outcome(database, configs)


def _meters() -> tempfile.TemporaryDirectory[str]:
    """Return a folder for the figures of the workers."""
    try:
        return tempfile.TemporaryDirectory(prefix="tidegauge-meters-")
    except OSError as error:
        msg = (
            f"cannot make a folder for temporary files: {error}. What to do: make room, or name "
            "another place in TMPDIR"
        )
        raise StoreError(msg) from error


def _load(paths: Sequence[Path], settings: Settings) -> list[StreamConfig]:
    configs = [load_stream(path) for path in paths]
    check_names_differ(configs)
    for config in configs:
        check_receivers(config, settings)
    return configs


def _stop_on_signals(supervisor: Supervisor) -> None:
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: supervisor.stopping.set())


def _serve(
    supervisor: Supervisor,
    settings: Settings,
    database: Database,
    meters: str,
    listener: socket.socket,
) -> None:
    """Serve until a signal, or until a worker ends for good; supervise the workers meanwhile."""
    failed: list[Exception] = []
    watching = threading.Thread(target=_watch, args=(supervisor.run, failed), name="supervisor")
    watching.start()
    try:
        supervisor.ready.wait()
        if not supervisor.stopping.is_set():
            _listen(supervisor, settings, database, meters, listener)
    finally:
        supervisor.stopping.set()
        watching.join()
    if failed:
        raise failed[0]


def _watch(run: Callable[[], None], failed: list[Exception]) -> None:
    try:
        run()
    except Exception as error:  # noqa: BLE001  (raised again by the main thread)
        failed.append(error)


def _token_name(environment: Mapping[str, str]) -> str:
    """Return where people find the token that they have set."""
    return "TIDEGAUGE_TOKEN" if "TIDEGAUGE_TOKEN" in environment else "`token` (settings file)"


def _listen(
    supervisor: Supervisor,
    settings: Settings,
    database: Database,
    meters: str,
    listener: socket.socket,
) -> None:
    token = settings.token.get_secret_value() if settings.token else new_token()
    of_workers = CollectorRegistry()
    MultiProcessCollector(of_workers, path=meters)  # type: ignore[no-untyped-call]
    app = create_service_app(database, supervisor.health, token, now_ms, meters_of=[of_workers])
    server = Server(app, settings.host, settings.port, supervisor.stopping)
    listen(listener)
    if settings.token is None:
        err.print(f"open {link(listener)}/login?token={token}", soft_wrap=True)
    else:
        named = _token_name(os.environ)
        err.print(f"open {link(listener)}/login?token=… with your {named}", soft_wrap=True)
    try:
        # Uvicorn raises a signal again when it has stopped; our handler then outlives it.
        server.run(sockets=[listener])
    except SystemExit as error:
        msg = "page and API cannot be served: the log above says why"
        raise ServiceError(msg) from error
    finally:
        sys.stderr.flush()
