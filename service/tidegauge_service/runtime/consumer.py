"""One process that reads streams, evaluates windows and notifies: its threads and its ticks."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Sequence

import structlog
from apscheduler.executors.pool import ThreadPoolExecutor
from apscheduler.schedulers.background import BackgroundScheduler

from tidegauge_alerts.backoff import Backoff
from tidegauge_alerts.transports import transport_for
from tidegauge_probes.errors import ProbeError, TidegaugeError
from tidegauge_service.clock import Clock
from tidegauge_service.config.settings import Settings
from tidegauge_service.errors import SettingsError, SourceError, StoreError, StreamHalted
from tidegauge_service.ingest.worker import Progress, Worker
from tidegauge_service.jobs.receivers import Receivers
from tidegauge_service.jobs.retention import Pruner
from tidegauge_service.runtime.health import RECEIVER, Health
from tidegauge_service.runtime.pipeline import Pipeline
from tidegauge_service.store.engine import Database

log = structlog.get_logger()

TICK_SECONDS = 1

RECEIVERS_STOP_S = 2.0
"""How long a stop waits for messages in flight; the next process sends the rest."""

RECEIVERS_DRAIN_S = 60.0
"""How long `--drain` waits for receivers at the end."""

WATCH_SECONDS = 10
"""How often to check whether the watermark is stalled."""

PAUSE = Backoff(0.5, 10.0)
"""Pauses between attempts while a source or database is down: many workers that lost the same
database do not all return at once."""

REST_S = 0.5
"""How often a waiting worker sends its group a heartbeat."""


def files_ended(file: str) -> str:
    """Return how to have read what is added to files that were read to their end."""
    return (
        "all files were read to their end. To read rows or files that are added later, restart "
        f"tidegauge, or schedule `tidegauge run {file} --drain`"
    )


class Service:
    """Runs pipelines until it is told to stop."""

    def __init__(
        self,
        database: Database,
        pipelines: Sequence[Pipeline],
        settings: Settings,
        clock: Clock,
        *,
        health: Health | None = None,
        stopping: threading.Event | None = None,
        progressed: Callable[[], None] | None = None,
    ) -> None:
        """Put them together; *progressed* is called after each commit of a batch with inputs."""
        self._progressed = progressed
        self._database = database
        self._pipelines = pipelines
        self._clock = clock
        self.health = health or Health()
        self.stopping = stopping or threading.Event()
        receivers = settings.parsed_receivers()
        transports = {name: transport_for(r, clock) for name, r in receivers.items()}
        self._receivers = Receivers(database, transports, clock)
        self._random = random.Random()  # noqa: S311  (jitter)
        self._threads = [
            threading.Thread(target=self._ingest, args=(p,), name=f"ingest-{p.scope.config.name}")
            for p in pipelines
        ]
        retention = settings.retention
        self._pruner = Pruner(database, retention, clock, stopping=self.stopping.is_set)
        self._prune_seconds = retention.every / 1000
        # Every job has a thread of its own (`_tick`): none waits for a slow one, of another stream
        # or kind. Ticks of one job never overlap; cursors guard against other processes.
        self._scheduler = BackgroundScheduler()

    def start(self) -> None:
        """Start workers and ticks."""
        for thread in self._threads:
            thread.start()
        for pipeline in self._pipelines:
            self._tick(f"evaluate-{pipeline.scope.config.name}", pipeline.evaluator.tick)
            self._tick(f"watch-{pipeline.scope.config.name}", pipeline.watch.tick, WATCH_SECONDS)
            self._tick(f"sight-{pipeline.scope.config.name}", pipeline.sight.tick, WATCH_SECONDS)
        self._receivers.start(self.stopping)
        self._tick("receivers", self._report_receivers)
        self._tick("retention", self._pruner.tick, self._prune_seconds)
        self._scheduler.start()

    def stop(self) -> None:
        """Finish the transactions under way, leave the groups, and return."""
        self.stopping.set()
        for thread in self._threads:
            if thread.ident is not None:  # it was started
                thread.join(timeout=30)
        if self._scheduler.running:
            self._scheduler.shutdown(wait=True)
        self._receivers.join(RECEIVERS_STOP_S)
        for pipeline in self._pipelines:
            pipeline.close()

    def drain(self) -> None:
        """Read every stream to its present end, evaluate and deliver, and return.

        Returns early, with nothing lost, when it is told to stop. Raises NoRecord, after all of
        that, if a stream has no record.
        """
        found: list[tuple[Pipeline, int, int]] = []
        for pipeline in self._pipelines:
            records, dead = 0, 0
            while not (self.stopping.is_set() or pipeline.finished):
                progress = pipeline.step(finite=True)
                self._note(progress)
                records += progress.records
                dead += progress.dead_letters
            if not self.stopping.is_set():
                pipeline.evaluator.tick()
                pipeline.watch.tick()
                pipeline.sight.tick()
                found.append((pipeline, records, dead))
        self._receivers.deliver_once()
        self._receivers.join(RECEIVERS_DRAIN_S, self.stopping)
        for pipeline, records, dead in found:
            if not records:
                pipeline.require_records(dead)

    def _report_receivers(self) -> None:
        for name, trouble in self._receivers.troubles().items():
            self.health.report(f"{RECEIVER}{name}", trouble)

    def _tick(
        self,
        name: str,
        job: Callable[[], object],
        seconds: float = TICK_SECONDS,
    ) -> None:
        def guarded() -> None:
            try:
                job()
                self.health.report(name, None)
            except TidegaugeError as error:
                self.health.report(name, str(error))
            except Exception:
                log.exception("tick_failed", job=name)
                self.health.report(name, "an unexpected error: see the log")

        self._scheduler.add_executor(ThreadPoolExecutor(1), name)
        self._scheduler.add_job(
            guarded,
            "interval",
            seconds=seconds,
            id=name,
            executor=name,
            max_instances=1,
            coalesce=True,
            misfire_grace_time=None,
        )

    def _ingest(self, pipeline: Pipeline) -> None:
        """Step the worker of one stream; what fails is tried again, and nothing is lost."""
        part, failures = f"ingest-{pipeline.scope.config.name}", 0
        finite = pipeline.scope.config.source.kind == "file"
        while not self.stopping.is_set():
            try:
                self._note(pipeline.worker.step(finite=finite))
            except (StreamHalted, SettingsError) as error:
                self._halt(part, error)
                return
            except (SourceError, StoreError, ProbeError) as error:
                # ProbeError: what was deployed is not here. It may come yet, or go.
                failures += 1
                self.health.report(part, str(error))
                self._rest(pipeline.worker, PAUSE.pause_s(failures, self._random.random()))
                continue
            except Exception as error:
                log.exception("ingest_failed", part=part)
                self._halt(part, TidegaugeError(f"{part} failed: {error!r}; see the log"))
                return
            failures = 0
            self.health.report(part, None)
            if finite and pipeline.worker.drained:
                config = pipeline.scope.config
                log.info("source_ended", stream=config.name, advice=files_ended(config.file))
                return

    def _note(self, progress: Progress) -> None:
        if self._progressed is None:
            return
        if progress.committed and progress.records + progress.dead_letters:
            self._progressed()

    def _rest(self, worker: Worker, seconds: float) -> None:
        """Wait without input. Nothing is held meanwhile: ``step`` drops what it had read."""
        until = time.monotonic() + seconds
        while not self.stopping.is_set() and (left := until - time.monotonic()) > 0:
            worker.rest(min(left, REST_S))

    def _halt(self, part: str, error: TidegaugeError) -> None:
        log.error("halted", part=part, error=str(error))
        self.health.report(part, str(error))
        self.health.fatal = error
        self.stopping.set()
