"""The whole service in one process: workers, ticks, API and page."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Annotated

import structlog
import uvicorn
from apscheduler.executors.pool import ThreadPoolExecutor
from apscheduler.schedulers.background import BackgroundScheduler
from fastapi import Depends, FastAPI, Query
from fastapi.responses import RedirectResponse, Response

from tidegauge_alerts.transports import transport_for
from tidegauge_probes.errors import TidegaugeError
from tidegauge_service import meters
from tidegauge_service.api.app import create_app
from tidegauge_service.api.context import Context, authorize
from tidegauge_service.api.problems import Problem
from tidegauge_service.auth import COOKIE, Gate
from tidegauge_service.clock import Clock
from tidegauge_service.errors import SourceError, StoreError, StreamHalted
from tidegauge_service.jobs.dispatcher import Dispatcher
from tidegauge_service.jobs.retention import Pruner
from tidegauge_service.metrics import Collector
from tidegauge_service.pipeline import Pipeline
from tidegauge_service.settings import Settings
from tidegauge_service.snapshot import take_snapshot
from tidegauge_service.store.engine import Database
from tidegauge_service.web.views import pages

log = structlog.get_logger()

TICK_SECONDS = 1
SNAPSHOT_SECONDS = 2
"""Figures of /metrics are read from the database this often at most."""

RETRY_SECONDS = (0.5, 1, 2, 5, 10)
"""Pauses after the first, second … failure in a row; the last one repeats."""


@dataclass
class Health:
    """What is wrong right now, by part; empty when all is well."""

    problems: dict[str, str] = field(default_factory=dict)
    fatal: TidegaugeError | None = None

    def report(self, part: str, problem: str | None) -> None:
        """Note or clear a problem."""
        if problem is None:
            self.problems.pop(part, None)
        else:
            self.problems[part] = problem

    def first(self) -> str | None:
        """Return one problem, for /readyz."""
        return next((f"{part}: {what}" for part, what in sorted(self.problems.items())), None)


class Service:
    """Runs pipelines until it is told to stop."""

    def __init__(
        self, database: Database, pipelines: Sequence[Pipeline], settings: Settings, clock: Clock
    ) -> None:
        self._database = database
        self._pipelines = pipelines
        self._clock = clock
        self.health = Health()
        self.stopping = threading.Event()
        receivers = settings.parsed_receivers()
        transports = {name: transport_for(r, clock) for name, r in receivers.items()}
        self._dispatcher = Dispatcher(database, transports, clock)
        self._threads = [
            threading.Thread(target=self._ingest, args=(p,), name=f"ingest-{p.config.name}")
            for p in pipelines
        ]
        retention = settings.retention
        self._pruner = Pruner(database, retention, clock, stopping=self.stopping.is_set)
        self._prune_seconds = retention.every / 1000
        # One thread: ticks of one process never overlap; cursors guard against other processes.
        # Pruning has a thread of its own: nothing waits for a long one.
        executors = {"default": ThreadPoolExecutor(1), "retention": ThreadPoolExecutor(1)}
        self._scheduler = BackgroundScheduler(executors=executors)

    def start(self) -> None:
        """Start workers and ticks."""
        for thread in self._threads:
            thread.start()
        for pipeline in self._pipelines:
            self._tick(f"evaluate-{pipeline.config.name}", pipeline.evaluator.tick)
        self._tick("dispatch", self._dispatcher.tick)
        self._tick("retention", self._pruner.tick, self._prune_seconds, executor="retention")
        self._scheduler.start()

    def stop(self) -> None:
        """Finish the transactions under way, leave the groups, and return."""
        self.stopping.set()
        for thread in self._threads:
            if thread.ident is not None:  # it was started
                thread.join(timeout=30)
        if self._scheduler.running:
            self._scheduler.shutdown(wait=True)
        for pipeline in self._pipelines:
            pipeline.close()

    def drain(self) -> None:
        """Read every stream to its present end, evaluate and deliver, and return."""
        for pipeline in self._pipelines:
            pipeline.run_to_end(lambda _progress: None)
        self._dispatcher.tick()

    def _tick(
        self,
        name: str,
        job: Callable[[], object],
        seconds: float = TICK_SECONDS,
        *,
        executor: str = "default",
    ) -> None:
        def guarded() -> None:
            try:
                job()
                self.health.report(name, None)
            except TidegaugeError as error:
                log.error("tick_failed", job=name, error=str(error))
                self.health.report(name, str(error))
            except Exception:
                log.exception("tick_failed", job=name)
                self.health.report(name, "an unexpected error: see the log")

        self._scheduler.add_job(
            guarded,
            "interval",
            seconds=seconds,
            id=name,
            executor=executor,
            max_instances=1,
            coalesce=True,
            misfire_grace_time=None,
        )

    def _ingest(self, pipeline: Pipeline) -> None:
        """Turn the crank of one stream; what fails is tried again, nothing is lost."""
        part, failures = f"ingest-{pipeline.config.name}", 0
        finite = pipeline.config.source.kind == "file"
        while not self.stopping.is_set():
            try:
                pipeline.worker.step(finite=finite)
                failures = 0
                self.health.report(part, None)
                if finite and pipeline.worker.drained:
                    return
            except StreamHalted as error:
                self._halt(part, error)
                return
            except (SourceError, StoreError) as error:
                pause = RETRY_SECONDS[min(failures, len(RETRY_SECONDS) - 1)]
                failures += 1
                log.warning("ingest_waits", part=part, error=str(error), seconds=pause)
                self.health.report(part, str(error))
                self.stopping.wait(pause)
            except Exception as error:
                log.exception("ingest_failed", part=part)
                self._halt(part, TidegaugeError(f"{part} failed: {error!r}; see the log"))
                return

    def _halt(self, part: str, error: TidegaugeError) -> None:
        log.error("halted", part=part, error=str(error))
        self.health.report(part, str(error))
        self.health.fatal = error
        self.stopping.set()


def create_service_app(database: Database, health: Health, token: str, clock: Clock) -> FastAPI:
    """Return the application: API, page and login."""
    gate = Gate(token)
    collector = Collector(
        lambda: take_snapshot(database, clock()), ttl_s=SNAPSHOT_SECONDS, others=[meters.REGISTRY]
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
    """Uvicorn that knows its address, and stops when the service does."""

    def __init__(self, app: FastAPI, host: str, port: int, stopping: threading.Event) -> None:
        super().__init__(uvicorn.Config(app, host=host, port=port, log_level="warning"))
        self._stopping = stopping
        self.bound = threading.Event()

    async def startup(self, sockets: object = None) -> None:
        """Start to listen; ``bound`` is set when it does."""
        await super().startup(sockets)  # type: ignore[arg-type]
        self.bound.set()

    async def on_tick(self, counter: int) -> bool:
        """Stop when the service has stopped."""
        return self._stopping.is_set() or await super().on_tick(counter)

    @property
    def port(self) -> int:
        """The port it listens on (it may have been 0 before)."""
        return int(self.servers[0].sockets[0].getsockname()[1])
