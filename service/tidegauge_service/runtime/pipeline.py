"""One stream, put together: source, worker, evaluator on one database.

The live service, ``replay`` and the demo all run this; they differ only in who turns the
crank.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import structlog

from tidegauge_alerts.rules import check_names
from tidegauge_probes import load
from tidegauge_probes.counts.panes import MAX_PAIRED, counts_pairs
from tidegauge_probes.labeling.probe_set import ProbeSet
from tidegauge_probes.lifting.lifting import Lifting
from tidegauge_probes.lifting.reader import readings
from tidegauge_service.baselines import silent_rules
from tidegauge_service.baselines.lookup import find_baseline
from tidegauge_service.clock import Clock
from tidegauge_service.config.settings import Settings
from tidegauge_service.config.stream_file import StreamConfig
from tidegauge_service.errors import NoRecord, SettingsError
from tidegauge_service.ingest.codec.stream_codec import open_codec
from tidegauge_service.ingest.heartbeat import Beats, Columns, no_beat
from tidegauge_service.ingest.partitions import origin
from tidegauge_service.ingest.partitions.first_positions import seed
from tidegauge_service.ingest.sources.registry import open_source
from tidegauge_service.ingest.sources.source import Source
from tidegauge_service.ingest.worker import Progress, Worker
from tidegauge_service.jobs.evaluator import Evaluator
from tidegauge_service.jobs.sight import SightCheck
from tidegauge_service.jobs.watermark_watch import WatermarkWatch
from tidegauge_service.metrics import meters
from tidegauge_service.store import baselines, deployments, registration, streams
from tidegauge_service.store.engine import Database
from tidegauge_service.store.ingest import dead_letters
from tidegauge_service.store.ingest.dead_letters import DeadLetterFilter
from tidegauge_service.store.scope import StreamScope
from tidegauge_service.store.streams import REPLAYED, Role

log = structlog.get_logger()


@dataclass
class Pipeline:
    """A stream that can be read and evaluated."""

    scope: StreamScope
    worker: Worker
    evaluator: Evaluator
    watch: WatermarkWatch
    sight: SightCheck

    def step(self, timeout_s: float = 0.1, *, finite: bool = False) -> Progress:
        """Read one batch, then close and evaluate what it allows."""
        progress = self.worker.step(timeout_s, finite=finite)
        if progress.committed:
            self.evaluator.tick()
        return progress

    @property
    def finished(self) -> bool:
        """Whether all partitions, of all workers, were read to their end and evaluated.

        Files of history (``backfill``) are not a worker's to read.
        """
        if not self.worker.drained:
            return False
        with self.scope.database.read() as connection:
            found = streams.partitions(connection, self.scope.stream.id)
        return all(p.drained for p in found if p.partition > REPLAYED)

    def require_records(self, dead: int, *, kept: bool = True) -> None:
        """NoRecord if the stream has none though its source was read to its end.

        *dead*: dead letters of a run that brought no record; *kept*: whether people can list
        them. A run after which nothing is new is
        well, as long as there were records before.
        """
        with self.scope.database.read() as connection:
            found = streams.partitions(connection, self.scope.stream.id)
        counted = sum(p.records for p in found)
        name = self.scope.config.name
        if dead:
            listed = (
                f"List them with `tidegauge dead-letters list {name}`, and check" if kept else ""
            )
            msg = (
                f"stream '{name}': all {dead} inputs became dead letters; none could be "
                f"read as a record. {self._newest_dead_letter()}{listed or 'Check'} "
                "`source` and `record` in the stream file"
            )
            raise NoRecord(msg)
        if not counted:
            msg = f"stream '{name}': the source is empty. Check `source` in the stream file"
            raise NoRecord(msg)

    def _newest_dead_letter(self) -> str:
        with self.scope.database.read() as connection:
            found = dead_letters.page(
                connection, self.scope.stream, DeadLetterFilter(), limit=1, most_bytes=1
            )
        return (
            f"The last one, {found[0].letter.reason}: {found[0].letter.detail}. " if found else ""
        )

    def run_to_end(self, advance: Callable[[Progress], None]) -> None:
        """Read everything there is, evaluate everything, and return."""
        while not self.finished:
            advance(self.step(finite=True))
        self.evaluator.tick()
        self.sight.tick()

    def close(self) -> None:
        """Let the source go."""
        self.worker.close()


def open_pipeline(
    config: StreamConfig,
    settings: Settings,
    database: Database,
    clock: Clock,
    *,
    source: Source | None = None,
    fitted: Callable[[int], None] | None = None,
    beat: Beats = no_beat,
    renewed: Callable[[Columns], None] | None = None,
) -> Pipeline:
    """Load the LFs, open the source, register the stream, attach its baseline.

    *source* replaces the configured one; *fitted* hears of training records as they are read;
    *beat* of what the worker is doing; *renewed* of the LFs it may call, when they change.
    Raises ProbeError, SettingsError, SourceError, BaselineError, StoreError, each saying what
    to do.
    """
    check_receivers(config, settings)
    probe_set = load(config.probes, Path(config.folder))
    codec = open_codec(config, settings, clock)
    opened = source or open_source(config, settings, database)
    try:
        for rule in config.alerts.user_rules:
            check_names(rule, probe_set.layout.probes, probe_set.classes)
        origin.check(database, config, opened)  # before the database takes the stream file over
        with database.write() as connection:
            stream = registration.register(connection, config, probe_set, clock())
        scope = StreamScope(config, stream, database, clock, settings.url or "")
        origin.keep(scope, opened)
        seed(scope, opened)
        if stream.probe_set == probe_set.id:
            _attach_baseline(scope, probe_set, fitted)
        else:  # the database decides what counts, the stream file says what is wished
            log.warning("probes_not_live", stream=stream.name, live=stream.probe_set)
        if not counts_pairs(len(probe_set.probes), probe_set.cardinality):
            log.warning(
                "pairs_not_counted",
                stream=stream.name,
                advice=f"more than {MAX_PAIRED} LFs × classes: no pairs, no label model",
            )
        worker = Worker(
            scope,
            probe_set,
            opened,
            beat=beat,
            codec=codec,
            lift=partial(lifting_of, settings=settings, stream=stream.name),
            renewed=renewed,
        )
        worker.renew()
    except Exception:
        opened.close()
        raise
    return Pipeline(scope, worker, Evaluator(scope), WatermarkWatch(scope), SightCheck(scope))


def lifting_of(probe_set: ProbeSet, settings: Settings, stream: str) -> Lifting | None:
    """Lift the LFs that can be, if the settings want it; what ends is logged and counted."""
    if not settings.lifting.enabled:
        return None

    def ended(probe: str, why: str) -> None:
        log.warning("lifting_ended", stream=stream, probe=probe, why=why)
        meters.lifting_ended(stream, probe)

    return Lifting(probe_set, readings(probe_set), checked=settings.lifting.checked, ended=ended)


def check_receivers(config: StreamConfig, settings: Settings) -> None:
    """SettingsError if the stream alerts a receiver that the settings do not have."""
    known = settings.parsed_receivers()
    for name in config.alerts.receivers:
        if name not in known:
            listed = ", ".join(sorted(known)) or "none"
            msg = (
                f"`alerts.receivers` of stream '{config.name}' names receiver '{name}', which the "
                f"settings do not define (defined: {listed}): add it under `receivers` in "
                "tidegauge.yaml"
            )
            raise SettingsError(msg)


def _attach_baseline(
    scope: StreamScope, probe_set: ProbeSet, fitted: Callable[[int], None] | None
) -> None:
    """Attach a named or a file's baseline; a range of the stream is fitted as it passes by."""
    stream = scope.stream
    if stream.baseline is not None:
        return
    found = find_baseline(scope.config, probe_set, scope.database, scope.clock, fitted)
    if found is None:
        return
    silent_rules.warn(stream.name, scope.config.alerts.user_rules, found)
    with scope.database.write() as connection:
        baselines.save(connection, found, None, scope.clock())
        live = deployments.current(deployments.of_stream(connection, stream.id), Role.LIVE)
        if live is not None:
            deployments.attach(connection, stream, live, found.id)
